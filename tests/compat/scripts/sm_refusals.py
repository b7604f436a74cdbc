"""What a control plane answers to bad input: the code, the status and words that say what to do, as boto3 sees them."""

import datetime
import io
import os
import tarfile
import time

import boto3
import botocore.auth
from botocore.config import Config
from botocore.exceptions import ClientError

import sm_walk
from sm_checks import ROLE, check, contains, equal, run_checks

BUCKET = "refusals"
INVALID = "ValidationException"
SCRIPT_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/python-training:1"


def client(service, **options):
    config = Config(parameter_validation=False, retries={"max_attempts": 0})
    return boto3.client(service, config=config, **options)


sagemaker = client("sagemaker")
runtime = client("sagemaker-runtime")
s3 = client("s3")


def refused(code, *words, status=400):
    """Registers a call that has to be refused with a code, a status and words."""

    def register(name, call):
        @check("{}: {}".format(code, name))
        def refusal():
            try:
                answer = call()
            except ClientError as error:
                told = error.response["Error"]
                found = (error.response["ResponseMetadata"]["HTTPStatusCode"], told["Code"])
                equal(found, (status, code))
                return contains(told["Message"], *words)
            raise AssertionError("it was accepted: {!r}".format(answer))

    return register


def image(name, **programs):
    """A folder of programs as an image: their texts, and whether they may be run."""
    folder = os.path.join(os.getcwd(), "images", name)
    os.makedirs(folder)
    for program, (text, mode) in programs.items():
        path = os.path.join(folder, program)
        with open(path, "wb") as file:
            file.write(text)
        os.chmod(path, mode)
    return "local:" + folder


# Jobs run as users of their own, who have to see the folder.
os.chmod(os.getcwd(), 0o755)
IMAGE = image("good", train=(b"#!/bin/sh\n", 0o755), serve=(b"#!/bin/sh\nsleep 600\n", 0o755))
s3.create_bucket(Bucket=BUCKET)
s3.put_object(Bucket=BUCKET, Key="in/a.csv", Body=b"1,2\n")


def job(**changes):
    """A training job with changes; those that are dicts change single members."""
    request = {
        "TrainingJobName": "taken",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://refusals/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    for name, value in changes.items():
        request[name] = {**request.get(name, {}), **value} if isinstance(value, dict) else value
    return request


def train(**changes):
    return lambda: sagemaker.create_training_job(**job(**changes))


def algorithm(**changes):
    return train(AlgorithmSpecification=changes)


def channel(uri):
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    return {"ChannelName": "train", "DataSource": source}


sagemaker.create_training_job(**job())

refused(INVALID, "expression '([' of the metric 'loss'")(
    "a wrong regex", algorithm(MetricDefinitions=[{"Name": "loss", "Regex": "(["}])
)
refused(INVALID, 'No S3 objects found under S3 URL "s3://refusals/none"')(
    "a missing S3 key", train(InputDataConfig=[channel("s3://refusals/none")])
)
refused(INVALID, 'under S3 URL "s3://no-such-bucket/x"', "bucket exists")(
    "a missing bucket of a channel", train(InputDataConfig=[channel("s3://no-such-bucket/x")])
)
refused(INVALID, "'train' occurs twice")(
    "one channel twice", train(InputDataConfig=[channel("s3://refusals/in")] * 2)
)
refused(INVALID, "bucket 'no-such-bucket'", "create it first")(
    "a missing bucket of the output", train(OutputDataConfig={"S3OutputPath": "s3://no-such-bucket/x"})
)
refused(INVALID, "Nothing is known of the image who/knows:1", "local:/path/to/folder", "in the images file")(
    "an image that nobody can resolve", algorithm(TrainingImage="who/knows:1")
)
refused(INVALID, "no TrainingImage", "algorithms by name are not served")(
    "an algorithm by name", algorithm(TrainingImage=None, AlgorithmName="mine")
)
refused(INVALID, "MaxWaitTimeInSeconds", "59 is less than 60")(
    "a spot wait below the runtime",
    train(EnableManagedSpotTraining=True, StoppingCondition={"MaxWaitTimeInSeconds": 59}),
)
refused("ResourceInUse", "must be unique", "training-job/taken")("a name that is taken", train())
refused(INVALID, "Value null at 'trainingJobName'", "Member must not be null")(
    "a member that is null", train(TrainingJobName=None)
)
refused("SerializationException", "'resourceConfig.instanceCount'", "no integer of its size")(
    "an integer of more than 32 bits", train(ResourceConfig={"InstanceCount": 2**31})
)
for label, text, mode, words in [
    ("without its run bit", b"#!/bin/sh\n", 0o644, 'chmod +x'),
    ("with the line ends of Windows", b"#!/bin/sh\r\n", 0o755, "line ends of Windows"),
    ("that names no interpreter", b"echo hello\n", 0o755, "names its interpreter"),
    ("whose interpreter is not there", b"#!/opt/nowhere/python\n", 0o755, "'/opt/nowhere/python'"),
    ("that is empty", b"", 0o755, "names its interpreter"),
]:
    folder = image("train-" + label.replace(" ", "-"), train=(text, mode))
    refused(INVALID, words)("a train " + label, algorithm(TrainingImage=folder))

refused("UnknownOperationException", "SageMaker.ListNotebookInstances", "docs/sagemaker-local.md")(
    "an operation that is not served", sagemaker.list_notebook_instances
)
refused("InvalidAction", "ListUsers", "docs/sagemaker-local.md")(
    "an operation of IAM that is not served", client("iam").list_users
)
refused("UnknownOperationException", "/endpoints/x/async-invocations")(
    "an operation of the runtime that is not served",
    lambda: runtime.invoke_endpoint_async(EndpointName="x", InputLocation="s3://refusals/in/a.csv"),
)
for call in ["describe_training_job", "stop_training_job", "delete_training_job"]:
    refused(INVALID, "Requested resource not found.")(
        call + " of what is not there", lambda call=call: getattr(sagemaker, call)(TrainingJobName="x")
    )
for kind, word in [("model", "model"), ("endpoint", "endpoint"), ("endpoint_config", "endpoint configuration")]:
    member = kind.title().replace("_", "") + "Name"
    for verb in ["describe", "delete"]:
        refused(INVALID, 'Could not find {} "arn:aws:sagemaker:us-east-1:123456789012:'.format(word))(
            "{}_{} of what is not there".format(verb, kind),
            lambda call=verb + "_" + kind, member=member: getattr(sagemaker, call)(**{member: "x"}),
        )
refused("ResourceNotFound", "can't find a tuning job with the name x")(
    "a tuning job that is not there",
    lambda: sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="x"),
)
refused(INVALID, "NextToken is not one that this list has answered with")(
    "a token that was made up", lambda: sagemaker.list_training_jobs(NextToken="made-up")
)
refused(INVALID, "Value '0' at 'maxResults'", "greater than or equal to 1")(
    "no results", lambda: sagemaker.list_training_jobs(MaxResults=0)
)
refused(INVALID, "Value '101' at 'maxResults'", "less than or equal to 100")(
    "too many results", lambda: sagemaker.list_training_jobs(MaxResults=101)
)
refused(INVALID, "'arn:aws:s3:::x' at 'resourceArn'")(
    "an ARN of another service", lambda: sagemaker.list_tags(ResourceArn="arn:aws:s3:::x")
)
refused(INVALID, "Could not find the resource")(
    "an ARN of what is not there",
    lambda: sagemaker.list_tags(ResourceArn="arn:aws:sagemaker:us-east-1:123456789012:model/x"),
)


@check("a member that AWS does not know is passed over")
def unknown_member():
    status, answer = sm_walk.call(sagemaker, "ListModels", {"Colour": "blue", "NextToken": None})
    equal((status, list(answer)), (200, ["Models"]))


def archive(*members):
    """A tar with members as they are given: a name, or one with its kind and what it leads to."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, kind, target in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, target
            tar.addfile(entry)
    return packed.getvalue()


ARCHIVES = {
    "that is none": (b"this is no archive", "is not an archive"),
    "with a path upwards": (archive(("../../evil", tarfile.REGTYPE, "")), "outside of the folder"),
    "with an absolute path": (archive(("/etc/evil", tarfile.REGTYPE, "")), "outside of the folder"),
    "with a symbolic link": (archive(("link", tarfile.SYMTYPE, "/etc")), "'link' is a SymbolicLink"),
    "with a hard link": (archive(("a", tarfile.REGTYPE, ""), ("b", tarfile.LNKTYPE, "a")), "'b' is a Link"),
    "with a device": (archive(("null", tarfile.CHRTYPE, "")), "'null' is a CharacterDevice"),
}


@check("archives of source code that cannot be read or lead out of their folder fail jobs with the reason")
def archives():
    for number, (packed, _) in enumerate(ARCHIVES.values()):
        s3.put_object(Bucket=BUCKET, Key="code/{}.tar.gz".format(number), Body=packed)
        submitted = {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": "s3://refusals/code/{}.tar.gz".format(number),
        }
        name = "archive-{}".format(number)
        sagemaker.create_training_job(
            **job(
                TrainingJobName=name,
                AlgorithmSpecification={"TrainingImage": SCRIPT_IMAGE},
                HyperParameters=submitted,
            )
        )
    for number, (kind, (_, words)) in enumerate(ARCHIVES.items()):
        ended = until(
            lambda: sagemaker.describe_training_job(TrainingJobName="archive-{}".format(number)),
            lambda found: found["TrainingJobStatus"] not in ("InProgress", "Stopping"),
        )
        equal((kind, ended["TrainingJobStatus"]), (kind, "Failed"))
        contains(ended["FailureReason"], "ClientError: Data download failed: s3://refusals/code/", words)


def until(look, holds):
    for _ in range(600):
        found = look()
        if holds(found):
            return found
        time.sleep(0.1)
    raise AssertionError("it has not come in a minute: {!r}".format(found))


def endpoint(name, **tags):
    sagemaker.create_endpoint(
        EndpointName=name,
        EndpointConfigName="mute",
        Tags=[{"Key": "millrace:" + key.replace("_", "-"), "Value": value} for key, value in tags.items()],
    )


VARIANT = {"VariantName": "v", "ModelName": "mute", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
sagemaker.create_model(ModelName="mute", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
sagemaker.create_endpoint_config(EndpointConfigName="mute", ProductionVariants=[VARIANT])
endpoint("mute", startup_seconds="1")
# This one has minutes to answer, and never does.
endpoint("starting")


def invoke(name, body=b"1"):
    return lambda: runtime.invoke_endpoint(EndpointName=name, Body=body)


refused("ValidationError", "Endpoint absent of account 123456789012 not found.")(
    "the invocation of what is not there", invoke("absent")
)
refused("ValidationError", "it is Creating", "endpoint_in_service")(
    "an invocation before the endpoint is in service", invoke("starting")
)
refused("ValidationError", "at 'body'", "less than or equal to 6291456", "batch transform")(
    "a body over the limit", invoke("starting", b"1" * 6291457)
)
refused(INVALID, "already existing model", "model/mute")(
    "a model's name that is taken",
    lambda: sagemaker.create_model(ModelName="mute", PrimaryContainer={"Image": IMAGE}),
)
refused(INVALID, "already existing endpoint ")("an endpoint's name that is taken", lambda: endpoint("starting"))
refused(INVALID, "Could not find endpoint configuration")(
    "an endpoint of no configuration",
    lambda: sagemaker.create_endpoint(EndpointName="x", EndpointConfigName="x"),
)
refused(INVALID, "Cannot delete model", "is Creating with it")(
    "the removal of a model in use", lambda: sagemaker.delete_model(ModelName="mute")
)
refused(INVALID, "Cannot delete endpoint configuration", "is Creating with it")(
    "the removal of a configuration in use",
    lambda: sagemaker.delete_endpoint_config(EndpointConfigName="mute"),
)
refused(INVALID, "Cannot update in-progress endpoint")(
    "the removal of an endpoint that is being made",
    lambda: sagemaker.delete_endpoint(EndpointName="starting"),
)


@check("a model that never answers ping fails its endpoint, which says what it had to do")
def never_answers():
    failed = until(
        lambda: sagemaker.describe_endpoint(EndpointName="mute"),
        lambda found: found["EndpointStatus"] != "Creating",
    )
    equal(failed["EndpointStatus"], "Failed")
    contains(failed["FailureReason"], "did not pass the ping health check", "SAGEMAKER_BIND_TO_PORT")


def signed(minutes=0, service=None, **options):
    """A list of models, signed with the clock or the name of a service changed."""
    unchanged = botocore.auth.get_current_datetime

    def call():
        moved = datetime.timedelta(minutes=minutes)
        botocore.auth.get_current_datetime = lambda *args, **named: unchanged(*args, **named) + moved
        try:
            asked = client("sagemaker", **options)
            if service:
                asked._request_signer._signing_name = service
            return asked.list_models()
        finally:
            botocore.auth.get_current_datetime = unchanged

    return call


SIGNATURE = "InvalidSignatureException"
refused(SIGNATURE, "Signature expired", "Set the clock", status=403)("a signature that is too old", signed(-6))
refused(SIGNATURE, "not yet current", "Set the clock", status=403)("one from the future", signed(6))
refused(SIGNATURE, "correct service: 'sagemaker'", status=403)("one for another service", signed(service="logs"))
refused(SIGNATURE, "does not match", status=403)("one of a wrong secret", signed(aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="x"))
refused("UnrecognizedClientException", "does not exist", status=403)(
    "one of a key that nobody has", signed(aws_access_key_id="x", aws_secret_access_key="x")
)


@check("a clock that is four minutes wrong is let in, and so is any region")
def clock():
    for answer in [signed(-4)(), signed(4)(), signed(region_name="eu-west-1")()]:
        equal([model["ModelName"] for model in answer["Models"]], ["mute"])


for operation, request in sm_walk.requests(job, channel("s3://refusals/in"), VARIANT, IMAGE):

    @check("every limit that botocore knows of {} holds, in AWS's words".format(operation))
    def limits(operation=operation, request=request):
        equal(sm_walk.wrong(sagemaker, operation, request), [])


run_checks()
