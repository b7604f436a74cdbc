"""Autolog, nested runs, search with filters, artifact folders up and down: a working day."""

import os

import mlflow
import mlflow.sklearn
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from checks import CLIENT, State, check, equal, run_checks

state = State()


@check("autolog logs params, metrics and tags of a fit")
def autolog():
    experiment = mlflow.set_experiment("autolog")
    mlflow.sklearn.autolog(log_models=False)
    x, y = load_iris(return_X_y=True)
    with mlflow.start_run() as run:
        LogisticRegression(max_iter=500, C=0.5).fit(x, y)
    mlflow.sklearn.autolog(disable=True)
    data = mlflow.get_run(run.info.run_id).data
    equal((data.params["max_iter"], data.params["C"]), ("500", "0.5"))
    assert 0.9 < data.metrics["training_accuracy_score"] <= 1, data.metrics
    equal(data.tags["estimator_name"], "LogisticRegression")
    state.update(autolog=run.info.run_id, experiment=experiment)


@check("autolog leaves the picture of the confusion matrix as an artifact")
def autolog_artifacts():
    paths = [file.path for file in MlflowClient().list_artifacts(state["autolog"])]
    assert "training_confusion_matrix.png" in paths, paths


@check("autolog logs the dataset of the fit", since=(2, 4))
def autolog_dataset():
    (dataset_input,) = mlflow.get_run(state["autolog"]).inputs.dataset_inputs
    tags = {tag.key: tag.value for tag in dataset_input.tags}
    equal(tags, {"mlflow.data.context": "train"})
    assert dataset_input.dataset.digest, dataset_input


@check("nested runs carry the id of their parent")
def nested():
    mlflow.set_experiment("nested")
    with mlflow.start_run(run_name="parent") as parent:
        mlflow.log_param("kind", "parent")
        children = []
        for depth in range(3):
            with mlflow.start_run(run_name="child-{}".format(depth), nested=True) as child:
                mlflow.log_param("depth", depth)
                for step in range(5):
                    mlflow.log_metric("loss", 1.0 / (1 + depth + step), step=step)
                mlflow.set_tag("family", "small" if depth < 2 else "large")
                children.append(child.info.run_id)
    for child in children:
        equal(mlflow.get_run(child).data.tags["mlflow.parentRunId"], parent.info.run_id)
    state.update(parent=parent.info.run_id, children=children)


@check("get_parent_run gives the parent", since=(2, 3))
def parent_run():
    equal(mlflow.get_parent_run(state["children"][0]).info.run_id, state["parent"])
    equal(mlflow.get_parent_run(state["parent"]), None)


def found(filter_string, **options):
    experiment = mlflow.get_experiment_by_name("nested").experiment_id
    runs = MlflowClient().search_runs([experiment], filter_string, **options)
    return [run.data.tags["mlflow.runName"] for run in runs]


@check("search finds the children of a parent")
def search_children():
    names = found("tags.mlflow.parentRunId = '{}'".format(state["parent"]))
    equal(names, ["child-2", "child-1", "child-0"])


@check("search compares metrics, params and tags")
def search_filters():
    equal(found("metrics.loss < 0.16"), ["child-2"])
    equal(found("metrics.loss >= 0.16", order_by=["metrics.loss DESC"]), ["child-0", "child-1"])
    equal(found("params.depth = '1'"), ["child-1"])
    equal(found("tags.family = 'small' AND metrics.loss < 0.18"), ["child-1"])
    equal(found("tags.family != 'small'"), ["child-2"])
    equal(found("tags.family LIKE 'lar%'"), ["child-2"])
    equal(found("tags.family ILIKE 'LAR%'"), ["child-2"])
    equal(found("attributes.status = 'FAILED'"), [])


@check("search orders by a metric, runs without it last")
def search_order():
    equal(found("", order_by=["metrics.loss ASC"]), ["child-2", "child-1", "child-0", "parent"])
    equal(found("", order_by=["params.depth DESC"]), ["child-2", "child-1", "child-0", "parent"])


@check("search pages through all runs without losing or doubling one")
def search_pages():
    experiment = mlflow.get_experiment_by_name("nested").experiment_id
    client, names, token = MlflowClient(), [], None
    while True:
        page = client.search_runs([experiment], max_results=1, page_token=token)
        names += [run.data.tags["mlflow.runName"] for run in page]
        token = page.token
        if not token:
            break
    equal(names, ["child-2", "child-1", "child-0", "parent"])


@check("search_runs makes a data frame of params, metrics and tags")
def search_frame():
    frame = mlflow.search_runs(experiment_names=["nested"], order_by=["metrics.loss ASC"])
    equal(list(frame["params.depth"])[:3], ["2", "1", "0"])
    equal(len(frame), 4)


@check("the history of a metric has every step")
def metric_history():
    history = MlflowClient().get_metric_history(state["children"][1], "loss")
    equal([(m.step, m.value) for m in history], [(s, 1.0 / (2 + s)) for s in range(5)])


@check("a folder goes up as it is and comes down the same")
def artifact_folder():
    names = ["a.txt", "sub/b.txt", "sub/deep/c d.txt", "sub/50% é+1.txt"]
    for name in names:
        path = os.path.join("up", *name.split("/"))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write("content of " + name)
    with mlflow.start_run() as run:
        mlflow.log_artifacts("up", "folder")
    os.makedirs("down")
    local = MlflowClient().download_artifacts(run.info.run_id, "folder", "down")
    seen = {}
    for parent, _, files in os.walk(local):
        for name in files:
            path = os.path.join(parent, name)
            with open(path, encoding="utf-8") as file:
                seen[os.path.relpath(path, local).replace(os.sep, "/")] = file.read()
    equal(seen, {name: "content of " + name for name in names})
    state["folder_run"] = run.info.run_id


@check("listing shows one level with sizes and folders")
def artifact_listing():
    files = MlflowClient().list_artifacts(state["folder_run"], "folder")
    listing = [(file.path, file.is_dir, file.file_size) for file in files]
    equal(listing, [("folder/a.txt", False, 16), ("folder/sub", True, None)])


@check("one artifact comes down by its uri")
def artifact_by_uri():
    local = mlflow.artifacts.download_artifacts(
        "runs:/{}/folder/sub/deep/c d.txt".format(state["folder_run"])
    )
    with open(local) as file:
        equal(file.read(), "content of sub/deep/c d.txt")


@check("a run that raises is marked as failed")
def failed_run():
    try:
        with mlflow.start_run() as run:
            raise RuntimeError("the training went wrong")
    except RuntimeError:
        pass
    equal(mlflow.get_run(run.info.run_id).info.status, "FAILED")


@check("a deleted run leaves the search and can come back")
def delete_and_restore():
    client, child = MlflowClient(), state["children"][0]
    client.delete_run(child)
    assert "child-0" not in found(""), found("")
    equal(found("", run_view_type=ViewType.DELETED_ONLY), ["child-0"])
    client.restore_run(child)
    assert "child-0" in found(""), found("")


@check("a run can be taken up again and goes on")
def resume():
    with mlflow.start_run(run_id=state["parent"]):
        mlflow.log_metric("late", 1)
    run = mlflow.get_run(state["parent"])
    equal((run.info.status, run.data.metrics["late"]), ("FINISHED", 1.0))


run_checks()
