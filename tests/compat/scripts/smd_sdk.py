"""Model.deploy, Predictor, Transformer and HyperparameterTuner of the SageMaker SDK 2 against a local control plane."""

import io
import json
import os
import shutil
import tarfile
import urllib.request

import boto3
import numpy
import sagemaker
from botocore.exceptions import ClientError
from sagemaker.deserializers import JSONDeserializer
from sagemaker.serializers import CSVSerializer, JSONSerializer
from sagemaker.sklearn import SKLearn, SKLearnModel
from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner, IntegerParameter

from sm_checks import HERE, ROLE, State, check, contains, equal, run_checks

state = State()
client = boto3.client("sagemaker")


def tracker(path, body):
    request = urllib.request.Request(
        os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/" + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def copied(name, folder):
    os.makedirs(folder, exist_ok=True)
    shutil.copy(os.path.join(HERE, name), folder)
    return os.path.abspath(folder)


@check("a tuner is fitted beside the rest")
def start_tuner():
    state["session"] = sagemaker.Session()
    estimator = SKLearn(
        entry_point="smd_trial.py",
        source_dir=copied("smd_trial.py", "trial"),
        role=ROLE,
        framework_version="1.0-1",
        py_version="py3",
        instance_type="ml.m5.large",
        sagemaker_session=state["session"],
    )
    state["tuner"] = HyperparameterTuner(
        estimator=estimator,
        objective_metric_name="rmse",
        objective_type="Minimize",
        metric_definitions=[{"Name": "rmse", "Regex": "rmse: ([0-9.]+)"}],
        hyperparameter_ranges={
            "depth": IntegerParameter(2, 12),
            "rate": ContinuousParameter(0.001, 1.0, scaling_type="Logarithmic"),
            "kind": CategoricalParameter(["a", "b"]),
        },
        max_jobs=20,
        max_parallel_jobs=2,
        base_tuning_job_name="boston",
    )
    state["tuner"].fit(wait=False)


@check("a model with a script is deployed and its predictor answers")
def deploy():
    with tarfile.open("model.tar.gz", "w:gz") as tar:
        data = json.dumps({"factor": 2.0}).encode()
        entry = tarfile.TarInfo("factor.json")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    state["data"] = state["session"].upload_data("model.tar.gz", key_prefix="sdk")
    state["model"] = SKLearnModel(
        model_data=state["data"],
        role=ROLE,
        entry_point="smd_inference.py",
        source_dir=copied("smd_inference.py", "inference"),
        framework_version="1.0-1",
        py_version="py3",
        sagemaker_session=state["session"],
    )
    state["predictor"] = state["model"].deploy(1, "ml.m5.large", endpoint_name="scripted")
    answer = state["predictor"].predict(numpy.array([[1.0, 2.0], [3.0, 4.0]]))
    equal(answer.tolist(), [6.0, 14.0])


@check("a predictor speaks CSV and JSON")
def content_types():
    predictor = state["predictor"]
    predictor.serializer, predictor.deserializer = CSVSerializer(), JSONDeserializer()
    equal(predictor.predict([[1, 2], [0, 1]]), [6.0, 2.0])
    predictor.serializer = JSONSerializer()
    equal(predictor.predict([[5, 5]]), [20.0])


@check("what the script says against its input is a ModelError")
def model_error():
    try:
        state["predictor"].predict([[1, 2, 3]])
        raise AssertionError("three columns")
    except ClientError as error:
        equal(error.response["Error"]["Code"], "ModelError")
        equal(error.response["OriginalStatusCode"], 500)
        contains(error.response["OriginalMessage"], "two columns are wanted, not 3")


@check("a transformer splits by lines, joins what came in and filters what goes out")
def transform():
    session = state["session"]
    session.upload_string_as_file_body("7,1,2\n8,3,4\n9,5,6\n", session.default_bucket(), "in/rows.csv")
    transformer = state["model"].transformer(
        1,
        "ml.m5.large",
        strategy="MultiRecord",
        assemble_with="Line",
        accept="text/csv",
        output_path="s3://{}/out".format(session.default_bucket()),
    )
    transformer.transform(
        "s3://{}/in".format(session.default_bucket()),
        content_type="text/csv",
        split_type="Line",
        input_filter="$[1:]",
        join_source="Input",
        output_filter="$[0,-1]",
        wait=True,
        logs=False,
    )
    written = session.read_s3_file(session.default_bucket(), "out/rows.csv.out")
    equal([[float(field) for field in row.split(",")] for row in written.split()], [[7, 6], [8, 14], [9, 22]])


@check("the tuner's twenty jobs ran two at a time, and the best one is known")
def tuned():
    tuner = state["tuner"]
    tuner.wait()
    described = tuner.describe()
    equal(described["HyperParameterTuningJobStatus"], "Completed")
    equal(described["TrainingJobStatusCounters"]["Completed"], 20)
    equal(described["ObjectiveStatusCounters"]["Succeeded"], 20)
    frame = tuner.analytics().dataframe()
    equal(len(frame), 20)
    best = frame.sort_values("FinalObjectiveValue").iloc[0]
    equal(tuner.best_training_job(), best["TrainingJobName"])
    equal(best["depth"] in (6.0, 7.0, 8.0), True)
    starts = [(one["TrainingStartTime"], one["TrainingEndTime"]) for _, one in frame.iterrows()]
    equal(max(sum(a <= start < b for a, b in starts) for start, _ in starts) <= 2, True)


@check("the runs of a tuning job are the children of one run, which knows the best of them")
def nested():
    name = state["tuner"].latest_tuning_job.name
    found = tracker(
        "runs/search",
        {"experiment_ids": ["0"], "filter": "tags.`sagemaker.tuning_job_name` = '{}'".format(name), "max_results": 100},
    )["runs"]
    tags = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in found]
    parents = [run for run, own in zip(found, tags) if "mlflow.parentRunId" not in own]
    equal(len(parents), 1)
    children = [own["mlflow.parentRunId"] for own in tags if "mlflow.parentRunId" in own]
    equal(children, [parents[0]["info"]["run_id"]] * 20)
    equal(parents[0]["info"]["run_name"], name)
    equal(parents[0]["info"]["status"], "FINISHED")
    best = [own["sagemaker.training_job_name"] for own in tags if own.get("sagemaker.best_trial") == "true"]
    equal(best, [state["tuner"].best_training_job()])


@check("deleting leaves nothing behind")
def delete():
    state["predictor"].delete_model()
    state["predictor"].delete_endpoint()
    client.get_waiter("endpoint_deleted").wait(EndpointName="scripted", WaiterConfig={"Delay": 1})
    for model in client.list_models()["Models"]:
        client.delete_model(ModelName=model["ModelName"])
    equal(client.list_endpoints()["Endpoints"], [])
    equal(client.list_endpoint_configs()["EndpointConfigs"], [])


run_checks()
