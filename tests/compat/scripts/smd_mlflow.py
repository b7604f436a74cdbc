"""MLflow's own SageMaker client, as it is, against a local control plane."""

import json
import os
import threading

import boto3
import mlflow.sagemaker
import numpy
import pandas
from mlflow.deployments import get_deploy_client
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

from sm_checks import ROLE, State, check, contains, equal, run_checks

REGION = "us-east-1"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mlflow-pyfunc:3.17.2"
BUCKET = "mlflow-sagemaker-{}-123456789012".format(REGION)

state = State()
sagemaker = boto3.client("sagemaker", region_name=REGION)
s3 = boto3.client("s3", region_name=REGION)
client = get_deploy_client("sagemaker:/{}".format(REGION))
FRAME = pandas.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0]})


def model(name, factor, has_signature=True):
    """A saved model that multiplies the sum of its two columns."""
    inputs = pandas.DataFrame(numpy.random.default_rng(7).normal(size=(20, 2)), columns=["a", "b"])
    fitted = LinearRegression().fit(inputs, factor * inputs.sum(axis=1))
    signature = infer_signature(inputs, fitted.predict(inputs)) if has_signature else None
    # Finding the requirements out would load each model in a process of its own.
    packages = ["mlflow", "scikit-learn"]
    mlflow.sklearn.save_model(fitted, name, signature=signature, pip_requirements=packages)
    return os.path.abspath(name)


def config(**more):
    return {"image_url": IMAGE, "execution_role_arn": ROLE, "instance_type": "ml.m5.large", **more}


def values(answer):
    return [round(value, 6) for value in answer.get_predictions()[0]]


def left():
    """Everything that the client makes and that is still there."""
    objects = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {
        "endpoints": [one["EndpointName"] for one in sagemaker.list_endpoints()["Endpoints"]],
        "configs": [one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
        "models": [one["ModelName"] for one in sagemaker.list_models()["Models"]],
        "objects": [one["Key"] for one in objects],
    }


@check("create makes a bucket, a model, a configuration and an endpoint that answers")
def create():
    state["double"], state["triple"] = model("double", 2.0), model("triple", 3.0)
    state["tenfold"] = model("tenfold", 10.0, has_signature=False)
    # The clean-up of an update waits long; what else is tried runs beside it.
    state["batch"] = threading.Thread(target=run_batch)
    made = client.create_deployment("boston", state["double"], config=config(tags={"team": "blue"}))
    equal(made["name"], "boston")
    equal(values(client.predict("boston", FRAME)), [2.0, 6.0])
    tags = sagemaker.list_tags(ResourceArn=client.get_deployment("boston")["EndpointArn"])["Tags"]
    contains({tag["Key"]: tag["Value"] for tag in tags}.items(), ("team", "blue"))
    state["batch"].start()


def run_batch():
    """A batch transform job, as `mlflow sagemaker deploy-transform-job` runs it."""
    try:
        s3.create_bucket(Bucket="batch")
        s3.put_object(Bucket="batch", Key="in/part.csv", Body=FRAME.to_csv(index=False).encode())
        mlflow.sagemaker.deploy_transform_job(
            job_name="batch-of-boston",
            model_uri=state["double"],
            s3_input_data_type="S3Prefix",
            s3_input_uri="s3://batch/in",
            content_type="text/csv",
            s3_output_path="s3://batch/out",
            execution_role_arn=ROLE,
            image_url=IMAGE,
            region_name=REGION,
            archive=False,
        )
        state["batch-error"] = None
    except Exception as error:
        state["batch-error"] = error


@check("get and list tell of the deployment")
def get_and_list():
    found = client.get_deployment("boston")
    equal(found["EndpointStatus"], "InService")
    equal([one["EndpointName"] for one in client.list_deployments()], ["boston"])
    try:
        client.get_deployment("nothing")
        raise AssertionError("there is no such deployment")
    except MlflowException as error:
        contains(str(error), "There was an error while retrieving the deployment")


@check("predict tells what the model says against its input")
def predict():
    try:
        client.predict("boston", pandas.DataFrame({"a": [1.0]}))
        raise AssertionError("a column is missing")
    except MlflowException as error:
        contains(str(error), "(ModelError)", "Received client error (400) from primary", "missing inputs")


@check("create of what exists says so")
def create_twice():
    try:
        client.create_deployment("boston", state["double"], config=config())
        raise AssertionError("it exists")
    except MlflowException as error:
        contains(str(error), "already exists")


@check("an update that adds keeps the old model in service and gives the new one no traffic")
def update_add():
    client.update_deployment("boston", state["triple"], config=config(mode="add", variant_name="tripled"))
    variants = client.get_deployment("boston")["ProductionVariants"]
    equal(sorted(one["CurrentWeight"] for one in variants), [0.0, 1.0])
    equal(values(client.predict("boston", FRAME)), [2.0, 6.0])
    answer = boto3.client("sagemaker-runtime", region_name=REGION).invoke_endpoint(
        EndpointName="boston",
        TargetVariant="tripled",
        ContentType="application/json",
        Body=json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": [[1.0, 1.0]]}}),
    )
    equal(answer["InvokedProductionVariant"], "tripled")
    equal(round(json.load(answer["Body"])["predictions"][0], 6), 6.0)


@check("an update that replaces serves the new model and removes the old ones")
def update_replace():
    client.update_deployment("boston", state["tenfold"], config=config())
    equal(values(client.predict("boston", FRAME)), [10.0, 30.0])
    equal(values(client.predict("boston", numpy.array([[1.0, 1.0]]))), [20.0])
    equal(values(client.predict("boston", [[0.0, 1.0], [3.0, 1.0]])), [10.0, 40.0])
    found = left()
    equal([len(found[name]) for name in ("endpoints", "configs")], [1, 1])


@check("a batch transform job reads and writes S3 and cleans up after itself")
def batch():
    state["batch"].join()
    if state["batch-error"] is not None:
        raise state["batch-error"]
    written = s3.get_object(Bucket="batch", Key="out/part.csv.out")["Body"].read()
    equal([round(value, 6) for value in json.loads(written)["predictions"]], [2.0, 6.0])
    equal(sagemaker.describe_transform_job(TransformJobName="batch-of-boston")["TransformJobStatus"], "Completed")


@check("delete leaves nothing behind")
def delete():
    client.delete_deployment("boston", config={"region_name": REGION})
    equal(left(), {"endpoints": [], "configs": [], "models": [], "objects": []})


run_checks()
