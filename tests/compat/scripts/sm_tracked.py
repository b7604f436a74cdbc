"""A job whose script logs to MLflow: its run is known as the job's, though the script knows nothing of jobs."""

import json
import os
import time
import urllib.request

import boto3

from sm_checks import BUCKET, IMAGE, ROLE, State, check, contains, equal, run_checks, source_tar

state = State()
client = boto3.client("sagemaker")


def ask(path, body=None):
    request = urllib.request.Request(
        os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/" + path,
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    return json.loads(urllib.request.urlopen(request).read())


@check("a job that logs to MLflow ends well")
def train():
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    boto3.client("s3").put_object(Bucket=BUCKET, Key="lab/code.tar.gz", Body=source_tar("sm_train_tracked.py"))
    create("killed", {"wait": "60"})
    create("tracked", {})
    state["job"] = ended("tracked")
    equal(state["job"].get("FailureReason"), None)


def create(name, hyperparameters):
    client.create_training_job(
        TrainingJobName=name,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        HyperParameters=dict(
            hyperparameters,
            sagemaker_program="train.py",
            sagemaker_submit_directory="s3://{}/lab/code.tar.gz".format(BUCKET),
        ),
        OutputDataConfig={"S3OutputPath": "s3://{}/lab/output".format(BUCKET)},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 120},
    )


def ended(name):
    while True:
        job = client.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            return job
        time.sleep(0.2)


@check("the job names its run, and the run its job")
def linked():
    details = state["job"]["MlflowDetails"]
    run = ask("runs/get?run_id=" + details["MlflowRunId"])["run"]
    equal((run["info"]["experiment_id"], run["info"]["status"]), (details["MlflowExperimentId"], "FINISHED"))
    tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
    equal(tags["sagemaker.training_job_name"], "tracked")
    equal(tags["sagemaker.training_job_arn"], state["job"]["TrainingJobArn"])
    equal([(param["key"], param["value"]) for param in run["data"]["params"]], [("depth", "3")])


@check("the experiment is the one that the script has chosen")
def experiment():
    found = ask("experiments/search", {"max_results": 10})["experiments"]
    contains([experiment["name"] for experiment in found], "lab-experiment")


@check("the run of a job that is stopped ends with it")
def stopped():
    experiments = ask("experiments/search", {"max_results": 10})["experiments"]
    ids = [experiment["experiment_id"] for experiment in experiments]
    query = {"experiment_ids": ids, "filter": "tags.`sagemaker.training_job_name` = 'killed'"}
    while not ask("runs/search", query).get("runs"):
        time.sleep(0.2)
    client.stop_training_job(TrainingJobName="killed")
    job = ended("killed")
    run = ask("runs/get?run_id=" + job["MlflowDetails"]["MlflowRunId"])["run"]
    equal((job["TrainingJobStatus"], run["info"]["status"]), ("Stopped", "KILLED"))


run_checks()
