"""Lab 1: a job that trains and tracks, and its model in the registry."""

import boto3

from dep_labs import millrace, printed, run_lab
from sm_checks import State, check, contains, equal, run_checks

state = State()
sagemaker = boto3.client("sagemaker")


@check("lab 1 trains, shows its metrics and ends with a model")
def lab_1():
    output = run_lab("1/train_model.py")
    contains(output, "AE-at-90th-percentile: ")
    state["job"] = printed(output, "Training job")
    job = sagemaker.describe_training_job(TrainingJobName=state["job"])
    equal([metric["MetricName"] for metric in job["FinalMetricDataList"]], ["median-AE"])


@check("its model becomes boston, version 1")
def register():
    output = millrace("sagemaker", "register-as", "boston", "--training-job", state["job"])
    contains(output, "models:/boston/1 is mlflow-artifacts:/")


run_checks()
