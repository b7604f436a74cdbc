"""Search of runs: every kind of condition, every order, pages that survive writes."""

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from checks import State, check, equal, refused, run_checks

client = MlflowClient()
state = State(experiment=client.create_experiment("search"))


def make(name, start_time, metrics=(), params=(), tags=(), status=None):
    run_id = client.create_run(state["experiment"], start_time=start_time, run_name=name).info.run_id
    client.log_batch(
        run_id,
        metrics=[Metric(key, value, 1, 0) for key, value in dict(metrics).items()],
        params=[Param(key, value) for key, value in dict(params).items()],
        tags=[RunTag(key, value) for key, value in dict(tags).items()],
    )
    if status:
        client.set_terminated(run_id, status, end_time=start_time + 500)
    state[name] = run_id


def found(filter_string="", **options):
    runs = client.search_runs([state["experiment"]], filter_string, **options)
    return [run.info.run_name for run in runs]


make("a", 1000, {"loss": 0.5, "acc": 0.5}, {"lr": "0.1", "model": "ResNet"}, {"team": "red"}, "FINISHED")
make("b", 2000, {"loss": 0.25, "acc": 0.75}, {"lr": "0.01", "model": "resnet"}, {"team": "blue"}, "FAILED")
make("c", 3000, {"loss": 0.125}, {"lr": "0.1"}, {"team": "red", "odd key": "x'y"}, "FINISHED")
make("d", 4000, {"loss": float("nan")}, {"model": "50% off_"}, {}, None)
make("e", 5000, {"loss": float("inf")}, {"a/b c": "1"}, {"mlflow.user": "ada"}, "KILLED")


@check("without a filter the newest run is first")
def default_order():
    equal(found(), ["e", "d", "c", "b", "a"])


@check("metrics compare as numbers")
def metrics():
    equal(found("metrics.loss < 0.5"), ["c", "b"])
    equal(found("metrics.loss <= 0.5"), ["c", "b", "a"])
    equal(found("metrics.loss > 0.25 AND metrics.loss < 1"), ["a"])
    equal(found("metrics.loss = 0.25"), ["b"])
    equal(found("metric.acc != 0.5"), ["b"])
    equal(found("metrics.loss > 1e10"), ["e"])
    equal(found("metrics.`loss` >= .25 and metrics.\"acc\" >= 0"), ["b", "a"])
    equal(found("metrics.nothing > 0"), [])


@check("params compare as text, with LIKE and ILIKE")
def params():
    equal(found("params.lr = '0.1'"), ["c", "a"])
    equal(found('params.lr = "0.01"'), ["b"])
    equal(found("params.lr != '0.1'"), ["b"])
    equal(found("param.model LIKE 'Res%'"), ["a"])
    equal(found("parameters.model ILIKE 'res%'"), ["b", "a"])
    equal(found("params.`a/b c` = '1'"), ["e"])
    equal(found("params.model LIKE '%off_'"), ["d"])


@check("tags compare as text and quotes can be part of a value")
def tags():
    equal(found("tags.team = 'red'"), ["c", "a"])
    equal(found("tag.team != 'red'"), ["b"])
    equal(found("tags.team ILIKE 'B%'"), ["b"])
    equal(found("tags.`odd key` = \"x'y\""), ["c"])
    equal(found("tags.mlflow.user = 'ada'"), ["e"])
    equal(found("tags.`mlflow.runName` = 'a'"), ["a"])


@check("attributes compare by their kind")
def attributes():
    equal(found("status = 'FINISHED'"), ["c", "a"])
    equal(found("attributes.status != 'FINISHED'"), ["e", "d", "b"])
    equal(found("attribute.start_time > 2000 AND start_time <= 4000"), ["d", "c"])
    equal(found("end_time = 1500"), ["a"])
    equal(found("run_name = 'b'"), ["b"])
    equal(found("attributes.`run name` LIKE 'b%'"), ["b"])
    equal(found("run_id = '%s'" % state["c"]), ["c"])
    equal(found("run_id IN ('%s', '%s')" % (state["a"], state["e"])), ["e", "a"])
    equal(found("run_id NOT IN ('%s', '%s')" % (state["a"], state["e"])), ["d", "c", "b"])
    equal(found("user_id = 'ada'"), [])
    equal(found("artifact_uri LIKE '%%%s%%'" % state["d"]), ["d"])


@check("IS NULL and IS NOT NULL ask whether a param, tag or metric is there")
def nulls():
    equal(found("params.lr IS NULL"), ["e", "d"])
    equal(found("params.lr IS NOT NULL AND tags.team = 'red'"), ["c", "a"])
    equal(found("tags.team IS NULL"), ["e", "d"])


@check("datasets are found by name, digest and context")
def datasets():
    for name, digest, context in [("a", "d1", "train"), ("b", "d1", "test"), ("c", "d2", "train")]:
        dataset = Dataset("iris", digest, "local", "{}")
        tags = [InputTag("mlflow.data.context", context)]
        client.log_inputs(state[name], [DatasetInput(dataset, tags)])
    equal(found("dataset.name = 'iris'"), ["c", "b", "a"])
    equal(found("datasets.digest = 'd1'"), ["b", "a"])
    equal(found("dataset.context = 'train' AND dataset.digest = 'd2'"), ["c"])
    equal(found("dataset.name LIKE 'ir%' AND params.lr = '0.01'"), ["b"])
    equal(found("dataset.digest IN ('d2', 'd3')"), ["c"])


@check("keywords, spaces and line ends are written as people write them")
def spelling():
    equal(found("  metrics.loss<0.5   And params.lr   =   '0.1'  "), ["c"])
    equal(found("metrics.loss < 0.5\n  AND params.lr = '0.1'"), ["c"])


@check("orders by metric put NaN and missing values last, both ways")
def order_by_metric():
    equal(found(order_by=["metrics.loss ASC"]), ["c", "b", "a", "e", "d"])
    equal(found(order_by=["metrics.loss DESC"]), ["e", "a", "b", "c", "d"])
    equal(found(order_by=["metrics.acc DESC"]), ["b", "a", "e", "d", "c"])


@check("orders by param, tag and attribute, the newest first among equals")
def order_by_text():
    equal(found(order_by=["params.lr ASC"]), ["b", "c", "a", "e", "d"])
    equal(found(order_by=["tags.team DESC", "start_time ASC"]), ["a", "c", "b", "d", "e"])
    equal(found(order_by=["attributes.start_time ASC"]), ["a", "b", "c", "d", "e"])
    equal(found(order_by=["status", "start_time"]), ["b", "a", "c", "e", "d"])
    equal(found(order_by=["run_name DESC"]), ["e", "d", "c", "b", "a"])
    equal(found(order_by=["end_time ASC"])[:4], ["a", "b", "c", "e"])


@check("pages neither lose nor double a run")
def pages():
    for order in [[], ["metrics.loss DESC"], ["params.lr"], ["start_time ASC"], ["tags.team"]]:
        seen, token = [], None
        while True:
            page = client.search_runs(
                [state["experiment"]], order_by=order, max_results=2, page_token=token
            )
            seen += [run.info.run_name for run in page]
            token = page.token
            if not token:
                break
        equal(seen, found(order_by=order))


@check("several experiments are searched at once")
def experiments():
    other = client.create_experiment("search-too")
    client.create_run(other, start_time=6000, run_name="f")
    runs = client.search_runs([state["experiment"], other], order_by=["start_time DESC"], max_results=2)
    equal([run.info.run_name for run in runs], ["f", "e"])
    equal(client.search_runs(["98765"]), [])


@check("impossible filters are refused")
def bad_filters():
    for filter_string in [
        "metrics.loss",
        "metrics.loss <",
        "metrics.loss < 'small'",
        "metrics.loss LIKE '1%'",
        "params.lr > '1'",
        "params.lr = 0.1",
        "tags.team < 'a'",
        "colour = 'red'",
        "attributes.colour = 'red'",
        "shape.lr = '1'",
        "params.lr = '0.1' OR params.lr = '0.01'",
        "params.lr = '0.1",
        "start_time = 'yesterday'",
        "status IN ('FINISHED')",
        "run_id IN ()",
        "params.lr = '0.1'; DROP TABLE runs",
    ]:
        refused(lambda: found(filter_string), "INVALID_PARAMETER_VALUE")


@check("impossible orders, limits and tokens are refused")
def bad_options():
    for options in [
        {"order_by": ["colour"]},
        {"order_by": ["metrics.loss SIDEWAYS"]},
        {"order_by": ["metrics.loss ASC, params.lr"]},
        {"max_results": 50001},
        {"page_token": "not-a-token"},
    ]:
        refused(lambda: found(**options), "INVALID_PARAMETER_VALUE")


run_checks()
