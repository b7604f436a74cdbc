"""The generic Estimator of the SageMaker SDK 1, with code that the client has uploaded itself."""

import json

import boto3
import sagemaker
from sagemaker.estimator import Estimator

from sm_checks import BUCKET, IMAGE, ROLE, State, captured, check, contains, equal, members, run_checks, source_tar

state = State()


@check("a session makes its bucket when it is told of it")
def bucket():
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    boto3.client("s3").put_object(Bucket=BUCKET, Key="lab/train/a.csv", Body=b"1,2\n3,4\n")
    boto3.client("s3").put_object(Bucket=BUCKET, Key="lab/code.tar.gz", Body=source_tar("sm_train.py"))
    state["session"] = sagemaker.Session(boto_session=boto3.Session())
    state["session"]._default_bucket = BUCKET


def estimator(**hyperparameters):
    trained = Estimator(
        image_name=IMAGE,
        role=ROLE,
        train_instance_count=1,
        train_instance_type="ml.m5.large",
        train_max_run=120,
        output_path="s3://{}/lab/output".format(BUCKET),
        sagemaker_session=state["session"],
    )
    trained.set_hyperparameters(
        sagemaker_program="train.py",
        sagemaker_submit_directory="s3://{}/lab/code.tar.gz".format(BUCKET),
        **hyperparameters
    )
    return trained


@check("a job of the generic estimator shows its lines and leaves its model")
def fit():
    trained = estimator(epochs=1, rate="0.25")
    with captured() as output:
        trained.fit({"train": "s3://{}/lab/train".format(BUCKET)})
    contains(output.getvalue(), "read 2 rows of ['a.csv']", "epoch 0: loss=0.250;")
    key = trained.model_data[len("s3://{}/".format(BUCKET)) :]
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    equal(members(body), {"model.txt": "rows=2 rate=0.25"})


@check("a job that fails raises an error with its reason")
def fail():
    try:
        estimator(behaviour="fail").fit({"train": "s3://{}/lab/train".format(BUCKET)}, logs=False)
    except Exception as error:
        contains(str(error), "AlgorithmError", "the column price is missing")
        return
    raise AssertionError("fit has not failed")


@check("the same name cannot be used twice")
def twice():
    client = boto3.client("sagemaker")
    names = [job["TrainingJobName"] for job in client.list_training_jobs()["TrainingJobSummaries"]]
    described = client.describe_training_job(TrainingJobName=names[0])
    wanted = (
        "TrainingJobName AlgorithmSpecification RoleArn OutputDataConfig ResourceConfig StoppingCondition"
    ).split()
    try:
        client.create_training_job(**{name: described[name] for name in wanted})
    except client.exceptions.ResourceInUse as error:
        contains(json.dumps(error.response["Error"]), "must be unique", names[0])
        return
    raise AssertionError("it could")


run_checks()
