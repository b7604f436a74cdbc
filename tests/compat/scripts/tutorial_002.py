"""The laptop tutorial: train a random forest on iris, log it, look at its run."""

import mlflow
import mlflow.sklearn
from mlflow.tracking import MlflowClient
from sklearn import datasets
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split

from checks import State, check, equal, run_checks

state = State()


@check("the script of the tutorial runs unchanged")
def train():
    mlflow.set_experiment("exp-iris")

    iris = datasets.load_iris()
    x_train, x_test, y_train, y_test = train_test_split(
        iris.data, iris.target, test_size=0.3, random_state=42
    )

    with mlflow.start_run(run_name="first-run") as run:
        estimators = 10
        mlflow.log_param("num_estimators", estimators)
        rf = RandomForestRegressor(n_estimators=estimators, random_state=0)
        rf.fit(x_train, y_train)
        predictions = rf.predict(x_test)
        mlflow.sklearn.log_model(rf, "random-forest-model")
        mse = mean_squared_error(y_test, predictions)
        mlflow.log_metric("mse", mse)
        state["artifact_uri"] = mlflow.get_artifact_uri()
        state["run_id"] = mlflow.active_run().info.run_id
    mlflow.end_run()

    state.update(run=run, mse=mse, predictions=predictions, x_test=x_test)


@check("run.info.run_uuid is the id of the run", until=(3, 0))
def run_uuid():
    equal(state["run"].info.run_uuid, state["run_id"])


@check("the run keeps its name, param, metric and status")
def stored_run():
    run = MlflowClient().get_run(state["run_id"])
    equal(run.data.tags["mlflow.runName"], "first-run")
    equal(run.data.params, {"num_estimators": "10"})
    equal(run.data.metrics, {"mse": state["mse"]})
    equal(run.info.status, "FINISHED")
    assert run.info.end_time >= run.info.start_time > 0, run.info


@check("run.info.run_name is the name given to start_run", since=(2, 0))
def run_name():
    equal(MlflowClient().get_run(state["run_id"]).info.run_name, "first-run")


@check("get_artifact_uri names the folder that the run's artifacts are in")
def artifact_uri():
    run = MlflowClient().get_run(state["run_id"])
    equal(state["artifact_uri"], run.info.artifact_uri)
    experiment = mlflow.get_experiment_by_name("exp-iris").experiment_id
    suffix = "{}/{}/artifacts".format(experiment, state["run_id"])
    assert state["artifact_uri"].endswith(suffix), state["artifact_uri"]


@check("the experiment is found by its name and holds the run")
def experiment():
    experiment = mlflow.get_experiment_by_name("exp-iris")
    equal(experiment.lifecycle_stage, "active")
    runs = mlflow.search_runs([experiment.experiment_id])
    equal(list(runs["run_id"]), [state["run_id"]])
    equal(runs["params.num_estimators"][0], "10")
    equal(runs["metrics.mse"][0], state["mse"])


@check("the logged model lists the files of a model", until=(3, 0))
def model_files():
    files = [file.path for file in MlflowClient().list_artifacts(state["run_id"], "random-forest-model")]
    for name in ["MLmodel", "conda.yaml", "model.pkl", "python_env.yaml", "requirements.txt"]:
        assert "random-forest-model/" + name in files, files


@check("the logged model lists the files of a model below the run", since=(3, 0))
def logged_model_files():
    files = [file.path for file in MlflowClient().list_artifacts(state["run_id"], "random-forest-model")]
    for name in ["MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"]:
        assert "random-forest-model/" + name in files, files


@check("the log-model history tag tells where the model is", until=(3, 0))
def model_history():
    import json

    tags = MlflowClient().get_run(state["run_id"]).data.tags
    (entry,) = json.loads(tags["mlflow.log-model.history"])
    equal(entry["artifact_path"], "random-forest-model")
    equal(entry["run_id"], state["run_id"])


@check("the run names the logged model as its output", since=(3, 0))
def model_output():
    (output,) = MlflowClient().get_run(state["run_id"]).outputs.model_outputs
    model = MlflowClient().get_logged_model(output.model_id)
    equal(model.name, "random-forest-model")
    equal(model.source_run_id, state["run_id"])
    equal(str(model.status.value), "READY")


@check("the model loads by the run's uri and predicts the same")
def load():
    model = mlflow.pyfunc.load_model("runs:/{}/random-forest-model".format(state["run_id"]))
    equal(list(model.predict(state["x_test"])), list(state["predictions"]))


run_checks()
