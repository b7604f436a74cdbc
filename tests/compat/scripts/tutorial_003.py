"""The remote-server tutorial: train on iris, find the run, register its model, load it and predict."""

import mlflow
import mlflow.sklearn
from mlflow.tracking import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from checks import State, check, equal, refused, run_checks

state = State()


@check("the script of the tutorial runs unchanged")
def train():
    mlflow.set_experiment("iris-experiment")
    with mlflow.start_run() as run:
        x, y = load_iris(return_X_y=True)
        params = {"C": 0.1, "max_iter": 1000, "random_state": 42}
        mlflow.log_params(params)
        lr = LogisticRegression(**params).fit(x, y)
        predictions = lr.predict(x)
        mlflow.log_metric("accuracy", accuracy_score(y, predictions))
        mlflow.sklearn.log_model(lr, artifact_path="models")
        state["artifact_uri"] = mlflow.get_artifact_uri()
    state.update(run_id=run.info.run_id, x=x, predictions=predictions)


@check("log_params stores every param as text")
def params():
    run = mlflow.get_run(state["run_id"])
    equal(run.data.params, {"C": "0.1", "max_iter": "1000", "random_state": "42"})
    assert 0.9 < run.data.metrics["accuracy"] <= 1, run.data.metrics


@check("list_run_infos gives the newest run first", until=(2, 0))
def list_run_infos():
    client = MlflowClient()
    experiment_id = client.get_experiment_by_name("iris-experiment").experiment_id
    equal(client.list_run_infos(experiment_id=experiment_id)[0].run_id, state["run_id"])
    newer = client.create_run(experiment_id)
    equal(client.list_run_infos(experiment_id=experiment_id)[0].run_id, newer.info.run_id)
    client.delete_run(newer.info.run_id)


@check("list_experiments gives the default experiment and the tutorial's", until=(2, 0))
def list_experiments():
    names = [experiment.name for experiment in MlflowClient().list_experiments()]
    equal(sorted(names), ["Default", "iris-experiment"])


@check("search_runs gives the run of the tutorial first", since=(2, 0))
def search_runs():
    client = MlflowClient()
    experiment_id = client.get_experiment_by_name("iris-experiment").experiment_id
    equal(client.search_runs([experiment_id])[0].info.run_id, state["run_id"])


@check("register_model makes the registered model and its first version")
def register():
    version = mlflow.register_model(
        "runs:/{}/models".format(state["run_id"]), "iris-classifier"
    )
    equal((version.name, str(version.version)), ("iris-classifier", "1"))
    equal((version.run_id, version.status), (state["run_id"], "READY"))


@check("register_model again makes a second version of the same model")
def register_again():
    version = mlflow.register_model(
        "runs:/{}/models".format(state["run_id"]), "iris-classifier"
    )
    equal(str(version.version), "2")
    latest = MlflowClient().get_registered_model("iris-classifier").latest_versions
    equal([str(version.version) for version in latest], ["2"])


@check("list_registered_models gives the model", until=(2, 0))
def list_registered_models():
    equal([m.name for m in MlflowClient().list_registered_models()], ["iris-classifier"])


@check("transition_model_version_stage moves a version and archives the ones before it")
def transition():
    client = MlflowClient()
    client.transition_model_version_stage("iris-classifier", "1", "Staging")
    equal(client.get_model_version("iris-classifier", "1").current_stage, "Staging")
    client.transition_model_version_stage("iris-classifier", "2", "Production")
    client.transition_model_version_stage(
        "iris-classifier", "1", "Production", archive_existing_versions=True
    )
    stages = {
        str(version.version): version.current_stage
        for version in client.search_model_versions("name='iris-classifier'")
    }
    equal(stages, {"1": "Production", "2": "Archived"})


@check("an unknown stage is refused")
def unknown_stage():
    refused(
        lambda: MlflowClient().transition_model_version_stage("iris-classifier", "1", "Live"),
        "INVALID_PARAMETER_VALUE",
        "Invalid Model Version stage",
    )


@check("an alias names a version and the version names the alias", since=(2, 3))
def alias():
    client = MlflowClient()
    client.set_registered_model_alias("iris-classifier", "champion", "1")
    version = client.get_model_version_by_alias("iris-classifier", "champion")
    equal((str(version.version), list(version.aliases)), ("1", ["champion"]))
    equal(
        {name: str(v) for name, v in client.get_registered_model("iris-classifier").aliases.items()},
        {"champion": "1"},
    )


@check("load_model by version predicts the same")
def load_by_version():
    model = mlflow.pyfunc.load_model("models:/iris-classifier/1")
    equal(list(model.predict(state["x"])), list(state["predictions"]))


@check("load_model by stage predicts the same")
def load_by_stage():
    model = mlflow.sklearn.load_model("models:/iris-classifier/Production")
    equal(list(model.predict(state["x"])), list(state["predictions"]))


@check("load_model by alias predicts the same", since=(2, 3))
def load_by_alias():
    model = mlflow.pyfunc.load_model("models:/iris-classifier@champion")
    equal(list(model.predict(state["x"])), list(state["predictions"]))


@check("the download uri of a version leads to its files")
def download_uri():
    uri = MlflowClient().get_model_version_download_uri("iris-classifier", "1")
    folder = mlflow.artifacts.download_artifacts(uri)
    with open(folder + "/MLmodel") as file:
        assert state["run_id"] in file.read()


run_checks()
