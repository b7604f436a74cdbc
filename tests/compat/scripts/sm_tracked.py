"""A job whose script logs to MLflow: its run is known as the job's, though the script knows nothing of jobs."""

import json
import os
import time
import urllib.request

import boto3

from sm_checks import BUCKET, IMAGE, ROLE, State, check, contains, equal, run_checks, source_tar

state = State()
client = boto3.client("sagemaker")


def ask(path, body):
    request = urllib.request.Request(
        os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/" + path,
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    return json.loads(urllib.request.urlopen(request).read())


@check("a job that logs to MLflow ends well")
def train():
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    boto3.client("s3").put_object(Bucket=BUCKET, Key="lab/code.tar.gz", Body=source_tar("sm_train_tracked.py"))
    name = "tracked"
    client.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        HyperParameters={
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": "s3://{}/lab/code.tar.gz".format(BUCKET),
        },
        OutputDataConfig={"S3OutputPath": "s3://{}/lab/output".format(BUCKET)},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 120},
    )
    while True:
        job = client.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] != "InProgress":
            break
        time.sleep(0.2)
    equal(job.get("FailureReason"), None)
    state["job"] = job


@check("the job names its run, and the run its job")
def linked():
    details = state["job"]["MlflowDetails"]
    run = ask("runs/search", {"experiment_ids": [details["MlflowExperimentId"]]})["runs"][0]
    equal(run["info"]["run_id"], details["MlflowRunId"])
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    equal(tags["sagemaker.training_job_name"], "tracked")
    equal(tags["sagemaker.training_job_arn"], state["job"]["TrainingJobArn"])
    equal([(param["key"], param["value"]) for param in run["data"]["params"]], [("depth", "3")])


@check("the experiment is the one that the script has chosen")
def experiment():
    found = ask("experiments/search", {"max_results": 10})["experiments"]
    contains([experiment["name"] for experiment in found], "lab-experiment")


run_checks()
