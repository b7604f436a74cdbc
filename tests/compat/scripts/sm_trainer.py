"""ModelTrainer of the SageMaker SDK 3, whose own drivers run in the job."""

import os

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode, StoppingCondition

from sm_checks import BUCKET, HERE, IMAGE, ROLE, State, check, contains, equal, members, run_checks

state = State()


@check("a session has its bucket")
def bucket():
    state["session"] = Session()
    equal(state["session"].default_bucket(), BUCKET)
    os.makedirs("source")
    with open(os.path.join(HERE, "sm_train.py")) as code, open("source/sm_train.py", "w") as copy:
        copy.write(code.read())
    with open("source/requirements.txt", "w") as file:
        file.write("wheel\n")
    os.makedirs("data")
    with open("data/a.csv", "w") as file:
        file.write("1,2\n3,4\n5,6\n7,8\n")


def trainer(**options):
    return ModelTrainer(
        training_image=IMAGE,
        source_code=SourceCode(
            source_dir=os.path.abspath("source"), entry_script="sm_train.py", requirements="requirements.txt"
        ),
        compute=Compute(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=1),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=120),
        output_data_config=OutputDataConfig(s3_output_path="s3://{}/trainer".format(BUCKET)),
        sagemaker_session=state["session"],
        role=ROLE,
        **options
    )


@check("the drivers of ModelTrainer run the script, and its model is uploaded")
def train():
    training = trainer(base_job_name="trainer", hyperparameters={"epochs": 2, "rate": 0.5})
    training.train(
        input_data_config=[InputData(channel_name="train", data_source=os.path.abspath("data"))], wait=True
    )
    job = training._latest_training_job
    job.refresh()
    equal(job.training_job_status, "Completed")
    uri = job.model_artifacts.s3_model_artifacts
    key = uri[len("s3://{}/".format(BUCKET)) :]
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    equal(members(body), {"model.txt": "rows=4 rate=0.5"})
    state["name"] = job.training_job_name


@check("the lines of the job are in CloudWatch")
def logs():
    client = boto3.client("logs")
    group = "/aws/sagemaker/TrainingJobs"
    streams = client.describe_log_streams(logGroupName=group, logStreamNamePrefix=state["name"] + "/")
    stream = streams["logStreams"][0]["logStreamName"]
    events = client.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    contains("\n".join(event["message"] for event in events), "read 4 rows of ['a.csv']")


@check("a script that fails raises an error with its reason")
def fail():
    training = trainer(base_job_name="failing", hyperparameters={"behaviour": "fail"})
    try:
        training.train(
            input_data_config=[InputData(channel_name="train", data_source=os.path.abspath("data"))], wait=True
        )
    except Exception as error:
        contains(str(error), "AlgorithmError", "returned non-zero exit status 1")
        return
    raise AssertionError("train has not failed")


run_checks()
