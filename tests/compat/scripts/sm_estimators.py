"""Estimators of the SageMaker SDK 2 against a local control plane: SKLearn with live logs and what can go wrong."""

import os

import boto3
import sagemaker
from sagemaker.exceptions import UnexpectedStatusException
from sagemaker.sklearn import SKLearn

from sm_checks import BUCKET, HERE, ROLE, State, captured, check, contains, equal, members, run_checks

state = State()
METRICS = [{"Name": "loss", "Regex": "loss=(.*?);"}]


def session():
    if sagemaker.__version__.startswith("2.117"):
        return sagemaker.Session(default_bucket=BUCKET)
    return sagemaker.Session()


def estimator(**options):
    options.setdefault("max_run", 120)
    return SKLearn(
        entry_point="sm_train.py",
        source_dir=state["source"],
        role=ROLE,
        framework_version="1.0-1",
        py_version="py3",
        instance_type="ml.m5.large",
        metric_definitions=METRICS,
        sagemaker_session=state["session"],
        **options
    )


def describe(job):
    return boto3.client("sagemaker").describe_training_job(TrainingJobName=job)


@check("a session has its bucket and uploads to it without asking AWS who is calling")
def upload():
    state["session"] = session()
    state["bucket"] = state["session"].default_bucket()
    equal(state["bucket"], BUCKET)
    os.makedirs("source", exist_ok=True)
    with open(os.path.join(HERE, "sm_train.py")) as code, open("source/sm_train.py", "w") as copy:
        copy.write(code.read())
    state["source"] = os.path.abspath("source")
    os.makedirs("data", exist_ok=True)
    with open("data/a.csv", "w") as file:
        file.write("1,2\n3,4\n5,6\n")
    state["data"] = state["session"].upload_data("data", key_prefix="lab/train")
    equal(state["data"], "s3://{}/lab/train".format(BUCKET))


@check("jobs that wait for something are started beside the others")
def start():
    state["slow"] = estimator(max_run=3, hyperparameters={"behaviour": "sleep"})
    state["slow"].fit({"train": state["data"]}, wait=False)
    state["spot"] = estimator(
        max_run=60,
        max_wait=120,
        use_spot_instances=True,
        checkpoint_s3_uri="s3://{}/lab/checkpoints".format(BUCKET),
        hyperparameters={"behaviour": "resume"},
        tags=[{"Key": "millrace:interrupt-after-seconds", "Value": "2"}],
    )
    state["spot"].fit({"train": state["data"]}, wait=False)


@check("SKLearn.fit shows the lines of the job and leaves the model and the metric")
def fit():
    trained = estimator(hyperparameters={"epochs": 3, "rate": 0.9})
    with captured() as output:
        trained.fit({"train": state["data"]}, logs="All")
    contains(output.getvalue(), "read 3 rows of ['a.csv']", "epoch 2: loss=0.300;", "Billable seconds")
    job = describe(trained.latest_training_job.name)
    equal(job["FinalMetricDataList"][0]["MetricName"], "loss")
    equal(round(job["FinalMetricDataList"][0]["Value"], 3), 0.3)
    bucket, key = trained.model_data[len("s3://") :].split("/", 1)
    body = boto3.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    equal(members(body), {"model.txt": "rows=3 rate=0.9"})
    state["job"] = trained.latest_training_job.name


@check("an estimator is attached to a job that has ended")
def attach():
    attached = SKLearn.attach(state["job"], sagemaker_session=state["session"])
    equal(attached.latest_training_job.name, state["job"])
    equal(attached.hyperparameters()["epochs"], "3")


@check("a script that fails raises UnexpectedStatusException with its error")
def fail():
    failing = estimator(hyperparameters={"behaviour": "fail"})
    try:
        failing.fit({"train": state["data"]}, logs=False)
    except UnexpectedStatusException as error:
        contains(str(error), "Failed", "AlgorithmError", "ExitCode 1", "the column price is missing")
        return
    raise AssertionError("fit has not failed")


@check("max_run ends a job, which is not an error")
def max_run():
    state["slow"].latest_training_job.wait(logs=False)
    job = describe(state["slow"].latest_training_job.name)
    equal((job["TrainingJobStatus"], job["SecondaryStatus"]), ("Stopped", "MaxRuntimeExceeded"))


@check("an interrupted spot job goes on from its checkpoint")
def spot():
    state["spot"].latest_training_job.wait(logs=False)
    job = describe(state["spot"].latest_training_job.name)
    equal(job["TrainingJobStatus"], "Completed")
    statuses = [item["Status"] for item in job["SecondaryStatusTransitions"]]
    equal(statuses.count("Training"), 2)
    contains(statuses, "Interrupted")
    assert job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"], job
    streams = boto3.client("logs").describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=job["TrainingJobName"] + "/"
    )["logStreams"]
    lines = [
        event["message"]
        for stream in streams
        for event in boto3.client("logs").get_log_events(
            logGroupName="/aws/sagemaker/TrainingJobs",
            logStreamName=stream["logStreamName"],
            startFromHead=True,
        )["events"]
    ]
    contains(lines, "resumed after epoch 7")


run_checks()
