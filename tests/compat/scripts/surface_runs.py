"""Runs through MlflowClient: life, metrics, params, tags, batches, datasets, refusals."""

import math

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    RunTag,
    ViewType,
)

from checks import State, check, equal, refused, run_checks

client = MlflowClient()
state = State(experiment=client.create_experiment("runs"))
UNKNOWN = "0" * 32


def new_run(**options):
    return client.create_run(state["experiment"], **options).info.run_id


def points(run_id, key):
    return [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run_id, key)]


@check("a created run has the given name, time and tags and is running")
def create():
    run = client.create_run(
        state["experiment"], start_time=1234, tags={"k": "v", "mlflow.user": "ada"}, run_name="one"
    )
    equal((run.info.run_name, run.info.start_time, run.info.status), ("one", 1234, "RUNNING"))
    equal((run.info.end_time, run.info.lifecycle_stage), (None, "active"))
    equal(run.data.tags, {"k": "v", "mlflow.user": "ada", "mlflow.runName": "one"})
    equal(run.info.user_id, "ada")
    assert run.info.artifact_uri.endswith(
        "/{}/{}/artifacts".format(state["experiment"], run.info.run_id)
    ), run.info.artifact_uri
    equal(dict(client.get_run(run.info.run_id).info), dict(run.info))


@check("a run without a name gets one of its own")
def generated_name():
    run = client.create_run(state["experiment"])
    assert run.info.run_name, run.info
    equal(run.data.tags["mlflow.runName"], run.info.run_name)


@check("a run is renamed by update and by its tag alike")
def rename():
    run_id = new_run(run_name="before")
    client.update_run(run_id, name="by-update")
    run = client.get_run(run_id)
    equal((run.info.run_name, run.data.tags["mlflow.runName"]), ("by-update", "by-update"))
    client.set_tag(run_id, "mlflow.runName", "by-tag")
    run = client.get_run(run_id)
    equal((run.info.run_name, run.data.tags["mlflow.runName"]), ("by-tag", "by-tag"))


@check("a run ends with its status and time and can run again")
def terminate():
    run_id = new_run()
    client.set_terminated(run_id, "KILLED", end_time=99)
    equal((client.get_run(run_id).info.status, client.get_run(run_id).info.end_time), ("KILLED", 99))
    client.update_run(run_id, status="RUNNING")
    equal(client.get_run(run_id).info.status, "RUNNING")
    client.update_run(run_id, status="SCHEDULED")
    equal(client.get_run(run_id).info.status, "SCHEDULED")


@check("unknown runs and experiments are refused by name")
def unknown():
    for call in [
        lambda: client.get_run(UNKNOWN),
        lambda: client.get_run("not-an-id"),
        lambda: client.delete_run(UNKNOWN),
        lambda: client.restore_run(UNKNOWN),
        lambda: client.log_metric(UNKNOWN, "m", 1),
        lambda: client.set_tag(UNKNOWN, "t", "1"),
        lambda: client.log_batch(UNKNOWN, metrics=[Metric("m", 1, 1, 1)]),
        lambda: client.set_terminated(UNKNOWN),
        lambda: client.list_artifacts(UNKNOWN),
    ]:
        refused(call, "RESOURCE_DOES_NOT_EXIST", "Run with id=", "not found")
    refused(lambda: client.create_run("99999"), "RESOURCE_DOES_NOT_EXIST", "99999")
    refused(lambda: client.create_run("abc"), "INVALID_PARAMETER_VALUE", "abc")


@check("the latest metric is the one with the highest step, then time, then value")
def latest_metric():
    run_id = new_run()
    written = [(3, 5, 1.0), (3, 5, 9.0), (1, 9, 2.0), (3, 9, 3.0), (2, 99, 7.0)]
    for step, timestamp, value in written:
        client.log_metric(run_id, "w", value, timestamp=timestamp, step=step)
    (latest,) = client.get_run(run_id)._data._metric_objs
    equal((latest.step, latest.timestamp, latest.value), (3, 9, 3.0))
    equal(sorted(points(run_id, "w")), sorted(written))


@check("a point that is sent twice is stored once")
def repeated_point():
    run_id = new_run()
    for _ in range(3):
        client.log_metric(run_id, "m", 0.5, timestamp=10, step=1)
    equal(points(run_id, "m"), [(1, 10, 0.5)])


@check("NaN, infinities and the smallest and largest steps come back as MLflow stores them")
def extreme_metrics():
    run_id = new_run()
    client.log_metric(run_id, "nan", float("nan"))
    client.log_metric(run_id, "inf", float("inf"))
    client.log_metric(run_id, "ninf", float("-inf"))
    metrics = client.get_run(run_id).data.metrics
    assert math.isnan(metrics["nan"]), metrics
    equal((metrics["inf"], metrics["ninf"]), (1.7976931348623157e308, -1.7976931348623157e308))
    for step in (2**63 - 1, -(2**63), 0, -1):
        client.log_metric(run_id, "steps", 1, timestamp=1, step=step)
    equal(sorted(step for step, _, _ in points(run_id, "steps")), [-(2**63), -1, 0, 2**63 - 1])


@check("small and large numbers keep every bit")
def exact_metrics():
    run_id = new_run()
    values = [0.1 + 0.2, 5e-324, 1e308, 123456789.123456789, 2.0**53 + 2]
    client.log_batch(run_id, [Metric("v", value, i, i) for i, value in enumerate(values)])
    equal([repr(value) for _, _, value in points(run_id, "v")], [repr(value) for value in values])


@check("the history of a metric that was never logged is empty")
def no_history():
    equal(points(new_run(), "nothing"), [])


@check("a long history arrives complete over several pages")
def long_history():
    run_id = new_run()
    expected = [(step, 1000 + step, step / 7) for step in range(30_000)]
    for start in range(0, 30_000, 1000):
        batch = expected[start : start + 1000]
        client.log_batch(run_id, [Metric("loss", v, t, s) for s, t, v in batch])
    equal(points(run_id, "loss"), expected)


@check("a param is written once; the same value again is fine, another one is refused")
def params():
    run_id = new_run()
    client.log_param(run_id, "lr", 0.1)
    client.log_param(run_id, "lr", 0.1)
    refused(
        lambda: client.log_param(run_id, "lr", 0.2),
        "INVALID_PARAMETER_VALUE",
        "Changing param values is not allowed",
        "'lr'",
    )
    equal(client.get_run(run_id).data.params, {"lr": "0.1"})


@check("params keep long, empty and odd values and keys")
def odd_params():
    run_id = new_run()
    values = {
        "long": "v" * 6000,
        "empty": "",
        "lines": "a\n\tb  c ",
        "unicode": "Ünïcödé 実験 🚀",
        "key with space": "1",
        "a/b.c-d_e:f": "2",
        "schlüssel": "3",
    }
    client.log_batch(run_id, params=[Param(key, value) for key, value in values.items()])
    equal(client.get_run(run_id).data.params, values)


@check("keys that are empty, too long or look like paths are refused")
def bad_keys():
    run_id = new_run()
    for key in ["", "k" * 251, "../up", "/root", "a//b", "a*b", "a%b"]:
        for call in [
            lambda: client.log_param(run_id, key, "v"),
            lambda: client.log_metric(run_id, key, 1.0),
            lambda: client.set_tag(run_id, key, "v"),
            lambda: client.log_batch(run_id, metrics=[Metric(key, 1, 1, 1)]),
            lambda: client.log_batch(run_id, params=[Param(key, "1")]),
            lambda: client.log_batch(run_id, tags=[RunTag(key, "1")]),
        ]:
            refused(call, "INVALID_PARAMETER_VALUE")
    data = client.get_run(run_id).data
    equal((data.params, data.metrics), ({}, {}))


@check("keys of 250 characters are accepted")
def longest_keys():
    run_id, key = new_run(), "k" * 250
    client.log_param(run_id, key, "p")
    client.log_metric(run_id, key, 1.0)
    client.set_tag(run_id, key, "t")
    data = client.get_run(run_id).data
    equal((data.params[key], data.metrics[key], data.tags[key]), ("p", 1.0, "t"))


@check("a tag is set, replaced and deleted; deleting it again is refused")
def tags():
    run_id = new_run()
    client.set_tag(run_id, "t", "one")
    client.set_tag(run_id, "t", "two")
    equal(client.get_run(run_id).data.tags["t"], "two")
    client.delete_tag(run_id, "t")
    assert "t" not in client.get_run(run_id).data.tags
    refused(lambda: client.delete_tag(run_id, "t"), "RESOURCE_DOES_NOT_EXIST", "No tag with name: t")


@check("a batch stores metrics, params and tags, the last of equal tags")
def batch():
    run_id = new_run()
    client.log_batch(
        run_id,
        metrics=[Metric("m", i / 10, 100 + i, i) for i in range(1000)],
        params=[Param("p%d" % i, str(i)) for i in range(100)],
        tags=[RunTag("t%d" % i, str(i)) for i in range(98)] + [RunTag("t", "1"), RunTag("t", "2")],
    )
    data = client.get_run(run_id).data
    equal(data.metrics, {"m": 99.9})
    equal(data.params, {"p%d" % i: str(i) for i in range(100)})
    equal((data.tags["t97"], data.tags["t"]), ("97", "2"))
    equal(len(points(run_id, "m")), 1000)


@check("a batch with a changed param stores nothing at all")
def batch_is_atomic():
    run_id = new_run()
    client.log_param(run_id, "p", "1")
    refused(
        lambda: client.log_batch(
            run_id,
            metrics=[Metric("m", 1, 1, 1)],
            params=[Param("new", "1"), Param("p", "2")],
            tags=[RunTag("t", "1")],
        ),
        "INVALID_PARAMETER_VALUE",
        "Changing param values is not allowed",
    )
    data = client.get_run(run_id).data
    equal((data.metrics, data.params, "t" in data.tags), ({}, {"p": "1"}, False))


@check("a batch that names a param twice is refused")
def batch_duplicates():
    run_id = new_run()
    refused(
        lambda: client.log_batch(run_id, params=[Param("a", "1"), Param("a", "2")]),
        "INVALID_PARAMETER_VALUE",
        "Duplicate parameter keys have been submitted",
    )
    equal(client.get_run(run_id).data.params, {})


@check("a deleted run takes no writes and comes back as it was")
def delete_and_restore():
    run_id = new_run()
    client.log_metric(run_id, "m", 1.0)
    client.delete_run(run_id)
    equal(client.get_run(run_id).info.lifecycle_stage, "deleted")
    for call in [
        lambda: client.log_metric(run_id, "m", 2.0),
        lambda: client.log_param(run_id, "p", "1"),
        lambda: client.set_tag(run_id, "t", "1"),
        lambda: client.log_batch(run_id, params=[Param("p", "1")]),
        lambda: client.update_run(run_id, "FINISHED"),
    ]:
        refused(call, "INVALID_PARAMETER_VALUE", "must be in the 'active' state")
    client.restore_run(run_id)
    run = client.get_run(run_id)
    equal((run.info.lifecycle_stage, run.data.metrics), ("active", {"m": 1.0}))


@check("the search shows deleted runs only when asked")
def view_types():
    experiment = client.create_experiment("views")
    kept = client.create_run(experiment).info.run_id
    gone = client.create_run(experiment).info.run_id
    client.delete_run(gone)

    def ids(view):
        return sorted(run.info.run_id for run in client.search_runs([experiment], run_view_type=view))

    equal(ids(ViewType.ACTIVE_ONLY), [kept])
    equal(ids(ViewType.DELETED_ONLY), [gone])
    equal(ids(ViewType.ALL), sorted([kept, gone]))


@check("datasets are inputs of a run with their tags, each once")
def datasets():
    run_id = new_run()
    train = Dataset("iris", "d1", "local", '{"uri": "a"}', schema='{"s": 1}', profile='{"rows": 9}')
    test = Dataset("iris", "d2", "local", '{"uri": "b"}')
    client.log_inputs(run_id, [DatasetInput(train, [InputTag("mlflow.data.context", "train")])])
    client.log_inputs(run_id, [DatasetInput(train, [InputTag("mlflow.data.context", "train")])])
    client.log_inputs(run_id, [DatasetInput(test)])
    inputs = client.get_run(run_id).inputs.dataset_inputs
    seen = {
        i.dataset.digest: (dict(i.dataset), {tag.key: tag.value for tag in i.tags}) for i in inputs
    }
    equal(len(inputs), 2)
    equal(seen["d1"], (dict(train), {"mlflow.data.context": "train"}))
    equal(seen["d2"][1], {})


@check("a metric of a dataset carries its name and digest")
def dataset_metric():
    run_id = new_run()
    client.log_metric(run_id, "m", 1.0, dataset_name="iris", dataset_digest="d1")
    equal(client.get_run(run_id).data.metrics, {"m": 1.0})


@check("the parent of a run is found by its tag")
def parent():
    mother = new_run()
    child = new_run(tags={"mlflow.parentRunId": mother})
    equal(client.get_parent_run(child).info.run_id, mother)
    equal(client.get_parent_run(mother), None)


@check("runs of one moment have ids of their own")
def many_runs():
    experiment = client.create_experiment("many")
    created = {client.create_run(experiment, start_time=1).info.run_id for _ in range(20)}
    equal(len(created), 20)
    equal({run.info.run_id for run in client.search_runs([experiment])}, created)


run_checks()
