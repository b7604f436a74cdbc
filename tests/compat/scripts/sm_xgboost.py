"""The built-in XGBoost of SageMaker by the SageMaker SDK 2: an estimator without a script, its endpoint and a transform job."""

import random
import time

import boto3
import sagemaker
from sagemaker import image_uris
from sagemaker.deserializers import CSVDeserializer
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.serializers import CSVSerializer

from sm_checks import ROLE, State, check, contains, equal, run_checks

state = State()
client = boto3.client("sagemaker")
IMAGE = image_uris.retrieve("xgboost", "us-east-1", "1.7-1")


def rows(count, seed):
    """Lines of a label, three times the first feature, and two features."""
    chosen = random.Random(seed)
    points = [(chosen.uniform(0, 10), chosen.uniform(0, 1)) for _ in range(count)]
    return "".join("{},{},{}\n".format(3 * a, a, b) for a, b in points)


def upload(text, key):
    session = state["session"]
    return session.upload_string_as_file_body(text, session.default_bucket(), key)


def estimator(**hyperparameters):
    return Estimator(
        IMAGE,
        ROLE,
        1,
        "ml.m5.large",
        output_path="s3://{}/models".format(state["session"].default_bucket()),
        hyperparameters=hyperparameters,
        sagemaker_session=state["session"],
    )


def csv(uri):
    return TrainingInput(uri, content_type="text/csv")


def trained(job, channels):
    """The job's description once it has ended; the SDK's own wait looks every half minute."""
    job.fit(channels, wait=False)
    name = job.latest_training_job.name
    for _ in range(600):
        described = client.describe_training_job(TrainingJobName=name)
        if described["TrainingJobStatus"] not in ("InProgress", "Stopping"):
            return described
        time.sleep(0.2)
    raise AssertionError("{} does not end".format(name))


def failure_of(channels, **hyperparameters):
    described = trained(estimator(**hyperparameters), channels)
    equal(described["TrainingJobStatus"], "Failed")
    return described["FailureReason"]


@check("an estimator without a script trains, and its metrics are those of the algorithm")
def fit():
    state["session"] = sagemaker.Session()
    state["train"] = upload(rows(300, 1), "xgboost/train/rows.csv")
    validation = upload(rows(60, 2), "xgboost/validation/rows.csv")
    job = estimator(objective="reg:squarederror", num_round=40, max_depth=4, eta=0.3)
    described = trained(job, {"train": csv(state["train"]), "validation": csv(validation)})
    equal(described["TrainingJobStatus"], "Completed")
    state["estimator"] = job
    metrics = {metric["MetricName"]: metric["Value"] for metric in described["FinalMetricDataList"]}
    equal(set(metrics), {"train:rmse", "validation:rmse"})
    equal(0 < metrics["train:rmse"] < metrics["validation:rmse"] < 1, True)


@check("its endpoint answers a score for each row")
def deploy():
    predictor = state["estimator"].deploy(
        1,
        "ml.m5.large",
        endpoint_name="boosted",
        serializer=CSVSerializer(),
        deserializer=CSVDeserializer(),
        wait=False,
    )
    client.get_waiter("endpoint_in_service").wait(EndpointName="boosted", WaiterConfig={"Delay": 1})
    state["predictor"] = predictor
    (scores,) = predictor.predict([[2.0, 0.5], [8.0, 0.5]])
    equal([abs(float(score) - wanted) < 1 for score, wanted in zip(scores, (6, 24))], [True, True])


@check("a transform job writes a score for each line")
def transform():
    session = state["session"]
    upload("2.0,0.5\n8.0,0.5\n", "xgboost/in/rows.csv")
    bucket = session.default_bucket()
    transformer = state["estimator"].transformer(
        1, "ml.m5.large", output_path="s3://{}/xgboost/out".format(bucket)
    )
    transformer.transform(
        "s3://{}/xgboost/in".format(bucket), content_type="text/csv", split_type="Line", wait=False
    )
    client.get_waiter("transform_job_completed_or_stopped").wait(
        TransformJobName=transformer.latest_transform_job.name, WaiterConfig={"Delay": 1}
    )
    written = session.read_s3_file(bucket, "xgboost/out/rows.csv.out").split()
    equal([abs(float(score) - wanted) < 1 for score, wanted in zip(written, (6, 24))], [True, True])


@check("a job without num_round, with an objective that there is not, or with words for numbers says so")
def refusals():
    train = {"train": csv(state["train"])}
    contains(failure_of(train, objective="reg:squarederror"), "num_round is required")
    contains(failure_of(train, objective="reg:nothing", num_round=2), "reg:nothing")
    header = upload("price,rooms,age\n" + rows(20, 3), "xgboost/header/rows.csv")
    contains(failure_of({"train": csv(header)}, num_round=2), "label in its first column, and no header")


@check("deleting leaves nothing behind")
def delete():
    state["predictor"].delete_model()
    state["predictor"].delete_endpoint()
    client.get_waiter("endpoint_deleted").wait(EndpointName="boosted", WaiterConfig={"Delay": 1})
    equal(client.list_endpoints()["Endpoints"], [])


run_checks()
