"""What leads from a tuning job to its runs, from them to a model version, and from that to an endpoint."""

import json
import time

import boto3
from mlflow.tracking import MlflowClient

from dep_labs import millrace
from sm_checks import BUCKET, IMAGE, ROLE, State, check, equal, run_checks, source_tar

SERVING_IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mlflow-pyfunc:3.17.2"
state = State()
sagemaker = boto3.client("sagemaker")
mlflow = MlflowClient()


@check("a tuning job ends well")
def tune():
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="code.tar.gz", Body=source_tar("dep_lineage_train.py"))
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="answers",
        HyperParameterTuningJobConfig={
            "Strategy": "Grid",
            "ResourceLimits": {"MaxParallelTrainingJobs": 2},
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "error"},
            "ParameterRanges": {"CategoricalParameterRanges": [{"Name": "answer", "Values": ["41", "42"]}]},
        },
        TrainingJobDefinition={
            "StaticHyperParameters": {
                "sagemaker_program": "train.py",
                "sagemaker_submit_directory": "s3://{}/code.tar.gz".format(BUCKET),
            },
            "AlgorithmSpecification": {
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "error", "Regex": "error: ([0-9.]+)"}],
            },
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://{}/output".format(BUCKET)},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 200},
        },
    )
    while True:
        job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="answers")
        if job["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping"):
            break
        time.sleep(0.5)
    equal(job["HyperParameterTuningJobStatus"], "Completed")
    state["best"] = job["BestTrainingJob"]["TrainingJobName"]


@check("its runs are children of one run, which has the best error and parameters")
def nested():
    runs = mlflow.search_runs(["0"], "tags.`sagemaker.tuning_job_name` = 'answers'")
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = mlflow.search_runs(["0"], "tags.`mlflow.parentRunId` = '{}'".format(parents[0].info.run_id))
    equal((len(parents), len(children), len(runs)), (1, 2, 3))
    (best,) = [run for run in children if run.data.tags.get("sagemaker.best_trial") == "true"]
    equal(best.data.tags["sagemaker.training_job_name"], state["best"])
    equal(best.data.params["answer"], "42")
    equal(list(parents[0].data.metrics.values()), [0.0])
    equal("42" in parents[0].data.params.values(), True)
    state["run"] = best


@check("its best job becomes a version that knows its run and its job")
def register():
    millrace("sagemaker", "register-as", "answers", "--training-job", state["best"], "--alias", "champion")
    version = mlflow.get_model_version_by_alias("answers", "champion")
    equal((version.version, version.run_id), ("1", state["run"].info.run_id))
    equal(version.tags["sagemaker.training_job_name"], state["best"])


@check("an endpoint and the version that it serves know of each other")
def deploy():
    settings = ["execution_role_arn=" + ROLE, "image_url=" + SERVING_IMAGE, "instance_type=ml.m5.large"]
    config = [part for setting in settings for part in ("-C", setting)]
    target = ["-t", "sagemaker", "--name", "answers"]
    millrace("deployments", "create", *target, "-m", "models:/answers@champion", *config)
    endpoint = sagemaker.describe_endpoint(EndpointName="answers")
    version = mlflow.get_model_version("answers", "1")
    equal(version.tags["millrace.sagemaker.endpoint"], endpoint["EndpointArn"])
    (model,) = sagemaker.list_models()["Models"]
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=model["ModelArn"])["Tags"]}
    equal(tags["millrace:model-version"], "answers/1")


@check("boto3 gets its answer whole and in parts")
def invoke():
    runtime = boto3.client("sagemaker-runtime")
    call = {
        "EndpointName": "answers",
        "ContentType": "application/json",
        "Body": json.dumps({"dataframe_split": {"columns": ["rooms"], "data": [[3.0]]}}),
    }
    whole = json.load(runtime.invoke_endpoint(**call)["Body"])
    equal([round(answer) for answer in whole["predictions"]], [42])
    streamed = runtime.invoke_endpoint_with_response_stream(**call)
    equal(streamed["ContentType"], "application/json")
    parts = b"".join(event["PayloadPart"]["Bytes"] for event in streamed["Body"])
    equal(json.loads(parts), whole)


@check("a deleted endpoint is forgotten by its version")
def delete():
    millrace("deployments", "delete", "-t", "sagemaker", "--name", "answers")
    equal("millrace.sagemaker.endpoint" in mlflow.get_model_version("answers", "1").tags, False)


run_checks()
