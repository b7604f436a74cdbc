"""What one server was told, read from another one that was restored from its backup."""

import json
import os
import tempfile

import mlflow
import mlflow.sklearn
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LinearRegression

from checks import check, equal, run_checks

FACTS = os.environ["RESTORED_FACTS"]
WRITES = os.environ["RESTORED_MODE"] == "write"
client = MlflowClient()


def describe():
    """Everything that a client can read."""
    runs = []
    experiments = client.search_experiments(view_type=ViewType.ALL)
    for run in client.search_runs([e.experiment_id for e in experiments], "", ViewType.ALL):
        keys = sorted(run.data.metrics)
        runs.append({
            "info": [run.info.run_id, run.info.run_name, run.info.status, run.info.end_time],
            "stage": run.info.lifecycle_stage,
            "params": run.data.params,
            "tags": run.data.tags,
            "history": {
                key: [[m.step, m.timestamp, repr(m.value)] for m in client.get_metric_history(run.info.run_id, key)]
                for key in keys
            },
            "datasets": [i.dataset.name for i in run.inputs.dataset_inputs],
            "files": sorted(f.path for f in client.list_artifacts(run.info.run_id)),
        })
    versions = [
        [v.name, v.version, v.source, v.run_id, list(v.aliases)]
        for v in client.search_model_versions()
    ]
    return {
        "experiments": sorted([e.experiment_id, e.name, e.lifecycle_stage] for e in experiments),
        "runs": sorted(runs, key=lambda run: run["info"]),
        "versions": sorted(versions),
        "prediction": list(mlflow.pyfunc.load_model("models:/line@best").predict([[3.0]])),
    }


if WRITES:

    @check("a day's work is written")
    def write():
        experiment_id = mlflow.create_experiment("restored")
        mlflow.set_experiment("restored")
        with mlflow.start_run(run_name="model") as run:
            mlflow.log_params({"lr": "0.1", "text": "Zeile\nzwei ü 🚀"})
            for step in range(50):
                mlflow.log_metric("loss", float("nan") if step == 7 else 1 / (step + 1), step=step)
            mlflow.log_input(mlflow.data.from_numpy(__import__("numpy").ones((3, 1)), name="ones"))
            model = LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
            mlflow.sklearn.log_model(model, name="line", registered_model_name="line")
            with tempfile.TemporaryDirectory() as folder:
                with open(os.path.join(folder, "notes.txt"), "w") as file:
                    file.write("notes")
                mlflow.log_artifacts(folder, "texts")
        client.set_registered_model_alias("line", "best", "1")
        other = client.create_run(experiment_id, run_name="deleted")
        client.log_batch(
            other.info.run_id,
            [Metric("m", 1.5, 1, 1)],
            [Param("p", "v")],
            [RunTag("t", "v")],
        )
        client.delete_run(other.info.run_id)
        with open(FACTS, "w") as file:
            json.dump(describe(), file)

else:

    @check("a stock client reads from the restored server what it wrote to the first one")
    def read():
        with open(FACTS) as file:
            equal(json.loads(json.dumps(describe())), json.load(file))

    @check("a stock client goes on with the restored server")
    def go_on():
        mlflow.set_experiment("restored")
        with mlflow.start_run() as run:
            mlflow.log_metric("loss", 0.5)
        equal(mlflow.get_run(run.info.run_id).data.metrics, {"loss": 0.5})


run_checks()
