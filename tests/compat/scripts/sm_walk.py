"""Walks requests along botocore's model of SageMaker and breaks each limit that it knows of, one at a time."""

import copy
import json

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

_session = URLLib3Session()
_GONE = object()
NUMBERS = ("integer", "long", "float", "double")
INVALID, UNREADABLE = "ValidationException", "SerializationException"


def call(client, operation, request):
    """The status and the answer of an operation whose request boto3 itself would not send."""
    sent = AWSRequest(
        "POST",
        client.meta.endpoint_url,
        data=json.dumps(request),
        headers={"X-Amz-Target": "SageMaker." + operation, "Content-Type": "application/x-amz-json-1.1"},
    )
    SigV4Auth(client._request_signer._credentials, "sagemaker", "us-east-1").add_auth(sent)
    answer = _session.send(sent.prepare())
    return answer.status_code, json.loads(answer.content or b"{}")


def wrong(client, operation, request):
    """What is not refused as AWS would: each broken request in a line with its answer."""
    shape = client.meta.service_model.operation_model(operation).input_shape
    unbroken = call(client, operation, request)
    found = []
    for path, code, value in _breaks(shape, request, []):
        answer = call(client, operation, _put(request, path, value))
        named = [part for part in path if isinstance(part, str)][-1]
        named = named[:1].lower() + named[1:]
        told = (answer[0], answer[1].get("__type"), named in answer[1].get("message", ""))
        if answer == unbroken or told != (400, code, True):
            found.append("{} {!r}: {}".format(path, str(value)[:40], answer))
    return found


def _put(request, path, value):
    changed = copy.deepcopy(request)
    inner = changed
    for part in path[:-1]:
        inner = inner[part]
    if value is _GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


def _breaks(shape, value, path):
    """Every way to break one limit: where, the code that it has to be refused with, and a value."""
    if path:
        yield path, UNREADABLE, 7 if shape.type_name not in NUMBERS else "x"
    walk = {"structure": _structure, "list": _list, "map": _map, "string": _string}
    yield from walk.get(shape.type_name, _number)(shape, value, path)


def _structure(shape, value, path):
    for name, inner in value.items():
        if name in shape.required_members:
            yield path + [name], INVALID, _GONE
        yield from _breaks(shape.members[name], inner, path + [name])


def _list(shape, value, path):
    limits = shape.metadata
    if "max" in limits:
        yield path, INVALID, value * (limits["max"] + 1)
    if limits.get("min", 0) > 0:
        yield path, INVALID, []
    yield from _breaks(shape.member, value[0], path + [0])


def _map(shape, value, path):
    limits, keys = shape.metadata, shape.key.metadata
    if "max" in limits:
        yield path, INVALID, {"k{}".format(index): "1" for index in range(limits["max"] + 1)}
    if "max" in keys:
        yield path, INVALID, {"k" * (keys["max"] + 1): "1"}
    if "a-z" in keys.get("pattern", ""):
        yield path, INVALID, {"1 -": "1"}
    yield path, UNREADABLE, {"k": 1}
    yield path, INVALID, {"k": "v" * (shape.value.metadata["max"] + 1)}


def _string(shape, value, path):
    limits = shape.metadata
    if shape.enum:
        yield path, INVALID, "Nope"
        return
    if "max" in limits:
        yield path, INVALID, "a" * (limits["max"] + 1)
    if limits.get("min", 0) > 0:
        yield path, INVALID, ""
    if limits.get("pattern", ".*") not in (".*", ".+", "[\\S\\s]*"):
        yield path, INVALID, "_ \n"


def _number(shape, value, path):
    limits = shape.metadata
    if shape.type_name in ("integer", "long"):
        yield path, UNREADABLE, 1.5
        yield path, UNREADABLE, 2**31 if shape.type_name == "integer" else 2**70
    if "max" in limits:
        yield path, INVALID, limits["max"] + 1
    if "min" in limits:
        yield path, INVALID, limits["min"] - 1


def requests(job, channel, variant, image):
    """Requests with as many members as there are limits for, none of which makes anything."""
    tags = {"Tags": [{"Key": "team", "Value": "blue"}]}
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    experiment = {"ExperimentConfig": {"ExperimentName": "e", "TrialName": "t"}}
    channel = {
        **channel,
        "ContentType": "text/csv",
        "CompressionType": "None",
        "RecordWrapperType": "None",
        "InputMode": "File",
        "ShuffleConfig": {"Seed": 1},
    }
    training = job(
        HyperParameters={"rate": "1"},
        AlgorithmSpecification={"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}]},
        InputDataConfig=[channel],
        OutputDataConfig={"CompressionType": "GZIP"},
        StoppingCondition={"MaxWaitTimeInSeconds": 60, "MaxPendingTimeInSeconds": 7200},
        EnableManagedSpotTraining=True,
        CheckpointConfig={"S3Uri": "s3://refusals/c", "LocalPath": "/opt/ml/checkpoints"},
        Environment={"A": "b"},
        RetryStrategy={"MaximumRetryAttempts": 1},
        VpcConfig=vpc,
    )
    yield "CreateTrainingJob", {**training, **tags, **experiment}
    parts = ["TrainingJobName", "HyperParameters"]
    definition = {name: value for name, value in training.items() if name not in parts}
    yield "CreateHyperParameterTuningJob", {**_tuning(definition), **tags}
    container = {
        "ContainerHostname": "host",
        "Image": "who/knows:1",
        "Mode": "SingleModel",
        "Environment": {"A": "b"},
        "ImageConfig": {"RepositoryAccessMode": "Platform"},
    }
    role = training["RoleArn"]
    yield "CreateModel", {
        "ModelName": "x",
        "ExecutionRoleArn": role,
        "PrimaryContainer": container,
        "VpcConfig": vpc,
        **tags,
    }
    yield "CreateEndpointConfig", {**_endpoint_config(variant), **tags}
    yield "CreateEndpoint", {"EndpointName": "x", "EndpointConfigName": "absent", **tags}
    yield "CreateTransformJob", {**_transform(), **tags, **experiment}
    yield "CreateProcessingJob", {**_processing(role, image), **tags, **experiment}
    listed = {"MaxResults": 10, "NameContains": "a", "SortBy": "Name", "SortOrder": "Ascending"}
    for kind in ["TrainingJobs", "TransformJobs", "ProcessingJobs", "HyperParameterTuningJobs"]:
        yield "List" + kind, {**listed, "StatusEquals": "Completed"}
    yield "ListModels", listed
    yield "ListEndpointConfigs", listed
    yield "ListEndpoints", {**listed, "StatusEquals": "InService"}


def _tuning(definition):
    numbers = {"Name": "n", "MinValue": "1", "MaxValue": "3", "ScalingType": "Auto"}
    specification = {**definition["AlgorithmSpecification"], "TrainingImage": "who/knows:1"}
    environment = {"StaticHyperParameters": {"rate": "1"}, "AlgorithmSpecification": specification}
    stopping = {"MaxRuntimeInSeconds": 60}
    return {
        "HyperParameterTuningJobName": "x",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": 1,
                "MaxParallelTrainingJobs": 1,
                "MaxRuntimeInSeconds": 1000,
            },
            "ParameterRanges": {
                "IntegerParameterRanges": [numbers],
                "ContinuousParameterRanges": [{**numbers, "Name": "c"}],
                "CategoricalParameterRanges": [{"Name": "k", "Values": ["a"]}],
            },
            "TrainingJobEarlyStoppingType": "Off",
            "TuningJobCompletionCriteria": {
                "TargetObjectiveMetricValue": 0.5,
                "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 5},
                "ConvergenceDetected": {"CompleteOnConvergence": "Disabled"},
            },
            "RandomSeed": 3,
        },
        "TrainingJobDefinition": {
            **definition,
            **environment,
            "EnableManagedSpotTraining": False,
            "StoppingCondition": stopping,
        },
    }


def _endpoint_config(variant):
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 10,
        "DestinationS3Uri": "s3://refusals/capture",
        "CaptureOptions": [{"CaptureMode": "Input"}],
        "CaptureContentTypeHeader": {
            "CsvContentTypes": ["text/csv"],
            "JsonContentTypes": ["application/json"],
        },
    }
    patience = {
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": 60,
        "ModelDataDownloadTimeoutInSeconds": 60,
    }
    return {
        "EndpointConfigName": "x",
        "ProductionVariants": [{**variant, "ModelName": "absent", **patience}],
        "DataCaptureConfig": capture,
    }


def _transform():
    return {
        "TransformJobName": "x",
        "ModelName": "absent",
        "MaxConcurrentTransforms": 1,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 10, "InvocationsMaxRetries": 1},
        "MaxPayloadInMB": 1,
        "BatchStrategy": "SingleRecord",
        "Environment": {"A": "b"},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://refusals/in"}},
            "ContentType": "text/csv",
            "CompressionType": "None",
            "SplitType": "Line",
        },
        "TransformOutput": {"S3OutputPath": "s3://refusals/o", "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        "DataProcessing": {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"},
    }


def _processing(role, image):
    source = {
        "S3Uri": "s3://refusals/none",
        "LocalPath": "/opt/ml/processing/input",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
        "S3CompressionType": "None",
    }
    target = {"S3Uri": "s3://refusals/o", "LocalPath": "/opt/ml/processing/o", "S3UploadMode": "EndOfJob"}
    cluster = {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    return {
        "ProcessingJobName": "x",
        "ProcessingInputs": [{"InputName": "i", "AppManaged": False, "S3Input": source}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "o", "S3Output": target}]},
        "ProcessingResources": {"ClusterConfig": cluster},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "AppSpecification": {
            "ImageUri": image,
            "ContainerEntrypoint": ["true"],
            "ContainerArguments": ["a"],
        },
        "Environment": {"A": "b"},
        "NetworkConfig": {"EnableNetworkIsolation": False, "VpcConfig": {"SecurityGroupIds": ["s"], "Subnets": ["s"]}},
        "RoleArn": role,
    }
