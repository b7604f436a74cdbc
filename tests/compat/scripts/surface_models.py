"""Logged models of 3.x clients: life, params, tags, metrics, search, artifacts, inputs and outputs."""

import os

import mlflow
from mlflow import MlflowClient
from mlflow.entities import LoggedModelInput, LoggedModelOutput, LoggedModelStatus, Metric

from checks import State, check, equal, refused, run_checks

client = MlflowClient()
state = State(experiment=client.create_experiment("models"))
UNKNOWN = "m-" + "0" * 32


def names(**options):
    return [model.name for model in client.search_logged_models([state["experiment"]], **options)]


@check("a created model is pending and keeps its run, params, tags and type")
def create():
    run_id = client.create_run(state["experiment"]).info.run_id
    model = client.create_logged_model(
        state["experiment"],
        name="one",
        source_run_id=run_id,
        tags={"t": "1"},
        params={"p": "2"},
        model_type="classifier",
    )
    stored = client.get_logged_model(model.model_id)
    equal((stored.name, stored.source_run_id, stored.model_type), ("one", run_id, "classifier"))
    equal((stored.params, stored.tags["t"]), ({"p": "2"}, "1"))
    equal(stored.status, LoggedModelStatus.PENDING)
    assert stored.model_id.startswith("m-"), stored
    assert stored.artifact_location.endswith(
        "/{}/models/{}/artifacts".format(state["experiment"], stored.model_id)
    ), stored.artifact_location
    assert stored.creation_timestamp == stored.last_updated_timestamp > 1_600_000_000_000, stored
    state.update(model=model.model_id, run=run_id)


@check("a model without a name gets one")
def generated_name():
    model = client.create_logged_model(state["experiment"])
    assert model.name, model
    client.delete_logged_model(model.model_id)


@check("an unknown model and an unknown experiment are refused")
def unknown():
    for call in [
        lambda: client.get_logged_model(UNKNOWN),
        lambda: client.finalize_logged_model(UNKNOWN, "READY"),
        lambda: client.delete_logged_model(UNKNOWN),
        lambda: client.create_logged_model("98765"),
    ]:
        refused(call, "RESOURCE_DOES_NOT_EXIST")


@check("names with slashes, colons, dots, percent signs and quotes are refused")
def bad_names():
    for name in ["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b"]:
        refused(
            lambda: client.create_logged_model(state["experiment"], name=name),
            "INVALID_PARAMETER_VALUE",
            "Invalid model name",
        )


@check("a finalized model is ready")
def finalize():
    equal(client.finalize_logged_model(state["model"], "READY").status, LoggedModelStatus.READY)
    equal(client.get_logged_model(state["model"]).status, LoggedModelStatus.READY)


@check("tags are set, replaced and deleted")
def tags():
    client.set_logged_model_tags(state["model"], {"a": "1", "b": "2"})
    client.set_logged_model_tags(state["model"], {"b": "3"})
    tags = client.get_logged_model(state["model"]).tags
    equal((tags["a"], tags["b"], tags["t"]), ("1", "3", "1"))
    client.delete_logged_model_tag(state["model"], "a")
    assert "a" not in client.get_logged_model(state["model"]).tags
    refused(
        lambda: client.delete_logged_model_tag(state["model"], "a"), "RESOURCE_DOES_NOT_EXIST", "a"
    )


@check("params are added to a model")
def params():
    client.log_model_params(state["model"], {"q": "4"})
    equal(client.get_logged_model(state["model"]).params, {"p": "2", "q": "4"})


@check("a metric of a run that names a model is the model's metric too")
def metrics():
    client.log_metric(
        state["run"],
        "accuracy",
        0.9,
        step=1,
        model_id=state["model"],
        dataset_name="iris",
        dataset_digest="d1",
    )
    client.log_batch(
        state["run"], metrics=[Metric("loss", 0.1, 5, 2, model_id=state["model"])]
    )
    metrics = {m.key: m for m in client.get_logged_model(state["model"]).metrics}
    equal({key: m.value for key, m in metrics.items()}, {"accuracy": 0.9, "loss": 0.1})
    accuracy = metrics["accuracy"]
    equal((accuracy.dataset_name, accuracy.dataset_digest), ("iris", "d1"))
    equal((accuracy.run_id, accuracy.model_id), (state["run"], state["model"]))


@check("models are inputs and outputs of runs")
def inputs_and_outputs():
    client.log_inputs(state["run"], models=[LoggedModelInput(state["model"])])
    client.log_outputs(state["run"], [LoggedModelOutput(state["model"], step=3)])
    run = client.get_run(state["run"])
    equal([model.model_id for model in run.inputs.model_inputs], [state["model"]])
    equal([(m.model_id, m.step) for m in run.outputs.model_outputs], [(state["model"], 3)])


@check("the files of a model go up, are listed and come down")
def artifacts():
    os.makedirs("model/data")
    for path in ["MLmodel", "data/weights 1%.bin"]:
        with open(os.path.join("model", path), "w") as file:
            file.write("in " + path)
    client.log_model_artifacts(state["model"], "model")
    listed = [(f.path, f.is_dir) for f in client.list_logged_model_artifacts(state["model"])]
    equal(sorted(listed), [("MLmodel", False), ("data", True)])
    below = [f.path for f in client.list_logged_model_artifacts(state["model"], "data")]
    equal(below, ["data/weights 1%.bin"])
    local = mlflow.artifacts.download_artifacts("models:/{}".format(state["model"]))
    with open(os.path.join(local, "data", "weights 1%.bin")) as file:
        equal(file.read(), "in data/weights 1%.bin")


@check("search filters by name, type, params, tags and metrics")
def search():
    run_id = client.create_run(state["experiment"]).info.run_id
    for number in range(3):
        model = client.create_logged_model(
            state["experiment"],
            name="s%d" % number,
            source_run_id=run_id,
            params={"n": str(number)},
            tags={"half": "ab"[number % 2]},
            model_type="small" if number < 2 else "large",
        )
        client.log_metric(run_id, "score", number / 10, step=1, model_id=model.model_id)
        client.finalize_logged_model(model.model_id, "READY" if number else "FAILED")
    ours = "source_run_id = '%s'" % run_id
    equal(names(filter_string=ours), ["s2", "s1", "s0"])
    equal(names(filter_string="name = 's1'"), ["s1"])
    equal(names(filter_string="name LIKE 's%'"), ["s2", "s1", "s0"])
    equal(names(filter_string="name IN ('s0', 's2')"), ["s2", "s0"])
    equal(names(filter_string="params.n = '2'"), ["s2"])
    equal(names(filter_string="tags.half = 'a' AND " + ours), ["s2", "s0"])
    equal(names(filter_string="metrics.score > 0.05"), ["s2", "s1"])
    equal(names(filter_string="model_type = 'large'"), ["s2"])
    state["ours"] = ours


@check("search orders by attribute and by metric, models without it last")
def search_order():
    def ordered(**order):
        return names(order_by=[order])

    equal(ordered(field_name="name", ascending=True), ["one", "s0", "s1", "s2"])
    equal(ordered(field_name="creation_timestamp", ascending=True), ["one", "s0", "s1", "s2"])
    equal(ordered(field_name="metrics.score", ascending=False), ["s2", "s1", "s0", "one"])
    equal(ordered(field_name="metrics.score", ascending=True), ["s0", "s1", "s2", "one"])


@check("search gives pages")
def search_pages():
    seen, token = [], None
    while True:
        page = client.search_logged_models([state["experiment"]], max_results=1, page_token=token)
        seen += [model.name for model in page]
        token = page.token
        if not token:
            break
    equal(seen, ["s2", "s1", "s0", "one"])


@check("impossible filters and orders are refused")
def bad_search():
    for options, stock in [
        ({"filter_string": "name ="}, None),
        ({"filter_string": "colour = 'red'"}, "INTERNAL_ERROR"),
        ({"filter_string": "metrics.score = 'high'"}, "INTERNAL_ERROR"),
        ({"order_by": [{"field_name": "colour"}]}, None),
        ({"page_token": "not-a-token"}, "INTERNAL_ERROR"),
    ]:
        refused(
            lambda: client.search_logged_models([state["experiment"]], **options),
            "INVALID_PARAMETER_VALUE",
            stock=stock,
        )


@check("a deleted model is gone from get and search")
def delete():
    model = client.create_logged_model(state["experiment"], name="gone")
    client.delete_logged_model(model.model_id)
    refused(
        lambda: client.get_logged_model(model.model_id), "RESOURCE_DOES_NOT_EXIST", model.model_id
    )
    assert "gone" not in names()


@check("mlflow.search_logged_models and last_logged_model see the model that a script logs")
def fluent():
    mlflow.set_experiment("models")
    with mlflow.start_run() as run:
        model = mlflow.create_external_model(name="external", source_run_id=run.info.run_id)
        mlflow.log_metric("m", 1.0, model_id=model.model_id)
    found = mlflow.search_logged_models(filter_string="name = 'external'", output_format="list")
    equal([m.model_id for m in found], [model.model_id])
    equal([m.key for m in found[0].metrics], ["m"])


run_checks()
