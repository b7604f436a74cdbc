"""Experiments through MlflowClient: life, names, tags, search, refusals."""

from mlflow import MlflowClient
from mlflow.entities import ViewType

from checks import State, check, equal, refused, run_checks

client = MlflowClient()
state = State()


def names(**options):
    return [experiment.name for experiment in client.search_experiments(**options)]


@check("the default experiment is there from the start")
def default_experiment():
    experiment = client.get_experiment("0")
    equal((experiment.name, experiment.lifecycle_stage), ("Default", "active"))


@check("a created experiment is found by id and by name, with tags and times")
def create():
    state["id"] = client.create_experiment("first", tags={"team": "a", "empty": ""})
    by_id = client.get_experiment(state["id"])
    by_name = client.get_experiment_by_name("first")
    equal((by_id.experiment_id, by_id.name), (state["id"], "first"))
    equal(dict(by_name), dict(by_id))
    equal(by_id.tags, {"team": "a", "empty": ""})
    equal(by_id.creation_time, by_id.last_update_time)
    assert by_id.creation_time > 1_600_000_000_000, by_id.creation_time
    assert by_id.artifact_location.endswith("/" + state["id"]), by_id.artifact_location


@check("an artifact location of one's own is kept")
def artifact_location():
    id = client.create_experiment("elsewhere", artifact_location="mlflow-artifacts:/some/where")
    equal(client.get_experiment(id).artifact_location, "mlflow-artifacts:/some/where")


@check("an unknown experiment is not found by name and refused by id")
def unknown():
    equal(client.get_experiment_by_name("nowhere"), None)
    refused(lambda: client.get_experiment("123456"), "RESOURCE_DOES_NOT_EXIST", "123456")


@check("a name that is taken is refused")
def duplicate():
    refused(
        lambda: client.create_experiment("first"),
        "RESOURCE_ALREADY_EXISTS",
        "Experiment(name=first) already exists",
    )


@check("names that are empty or longer than 500 characters are refused")
def bad_names():
    for name in ["", None, "n" * 501]:
        refused(lambda name=name: client.create_experiment(name), "INVALID_PARAMETER_VALUE")


@check("an artifact location with a fragment is refused")
def bad_locations():
    for location in ["mlflow-artifacts:/x#frag", "s3://bucket/x#frag"]:
        refused(
            lambda location=location: client.create_experiment("bad-place", location),
            "INVALID_PARAMETER_VALUE",
        )


@check("names keep spaces, quotes, slashes, percent signs and other scripts")
def odd_names():
    for name in ["with space", "it's \"quoted\"", "a/b\\c", "50%&x=1+2", "Ünïcödé 実験 🚀"]:
        id = client.create_experiment(name)
        equal(client.get_experiment_by_name(name).experiment_id, id)
        equal(client.get_experiment(id).name, name)


@check("an experiment can be renamed, to a free name only")
def rename():
    id = client.create_experiment("before")
    before = client.get_experiment(id)
    client.rename_experiment(id, "after")
    after = client.get_experiment(id)
    equal(after.name, "after")
    assert after.last_update_time >= before.last_update_time, after
    equal(client.get_experiment_by_name("before"), None)
    # A stock server lets the database's own error through.
    refused(
        lambda: client.rename_experiment(id, "first"),
        "RESOURCE_ALREADY_EXISTS",
        "first",
        stock="BAD_REQUEST",
    )


@check("a tag is set, replaced and deleted")
def tags():
    client.set_experiment_tag(state["id"], "stage", "one")
    client.set_experiment_tag(state["id"], "stage", "two")
    equal(client.get_experiment(state["id"]).tags["stage"], "two")
    client.delete_experiment_tag(state["id"], "stage")
    assert "stage" not in client.get_experiment(state["id"]).tags
    refused(
        lambda: client.delete_experiment_tag(state["id"], "stage"),
        "RESOURCE_DOES_NOT_EXIST",
        "stage",
    )


@check("tags with bad keys or values that are too long are refused")
def bad_tags():
    for key, value in [("k" * 251, "v"), ("k", "v" * 20001), ("", "v"), ("../up", "v"), ("a*b", "v")]:
        refused(
            lambda key=key, value=value: client.set_experiment_tag(state["id"], key, value),
            "INVALID_PARAMETER_VALUE",
        )


@check("a deleted experiment is out of the search, keeps its name and comes back")
def delete_and_restore():
    id = client.create_experiment("short-lived")
    run = client.create_run(id)
    client.delete_experiment(id)
    equal(client.get_experiment(id).lifecycle_stage, "deleted")
    assert "short-lived" not in names()
    equal(names(view_type=ViewType.DELETED_ONLY), ["short-lived"])
    assert "short-lived" in names(view_type=ViewType.ALL)
    equal(client.get_experiment_by_name("short-lived").lifecycle_stage, "deleted")
    refused(lambda: client.create_experiment("short-lived"), "RESOURCE_ALREADY_EXISTS")
    equal(client.get_run(run.info.run_id).info.lifecycle_stage, "deleted")

    client.restore_experiment(id)
    equal(client.get_experiment(id).lifecycle_stage, "active")
    equal(client.get_run(run.info.run_id).info.lifecycle_stage, "active")


@check("a deleted experiment takes no runs, no new name and no second deletion")
def deleted_parent():
    id = client.create_experiment("closed")
    client.delete_experiment(id)
    refused(lambda: client.create_run(id), "INVALID_PARAMETER_VALUE", "must be in the 'active' state")
    refused(lambda: client.delete_experiment(id), "RESOURCE_DOES_NOT_EXIST", id)
    # A stock server calls this an internal error.
    refused(
        lambda: client.rename_experiment(id, "other"),
        "INVALID_STATE",
        "non-active experiment",
        stock="INTERNAL_ERROR",
    )
    client.restore_experiment(id)


@check("an experiment that is not deleted cannot be restored")
def restore_active():
    refused(lambda: client.restore_experiment(state["id"]), "RESOURCE_DOES_NOT_EXIST", state["id"])


@check("search filters by name, tag and time")
def search():
    for number in range(4):
        client.create_experiment("s-%d" % number, tags={"half": "ab"[number % 2], "n": str(number)})
    equal(names(filter_string="name = 's-1'"), ["s-1"])
    equal(names(filter_string="attribute.name LIKE 's-%'"), ["s-3", "s-2", "s-1", "s-0"])
    equal(names(filter_string="name ILIKE 'S-%' AND tags.half = 'a'"), ["s-2", "s-0"])
    equal(names(filter_string="name LIKE 's-%' AND tags.half != 'a'"), ["s-3", "s-1"])
    equal(names(filter_string="tag.`half` = 'b' and tags.n = '3'"), ["s-3"])
    middle = client.get_experiment_by_name("s-2").creation_time
    newer = names(filter_string="creation_time >= %d AND name LIKE 's-%%'" % middle)
    assert newer in (["s-3", "s-2"], ["s-3", "s-2", "s-1"], ["s-3", "s-2", "s-1", "s-0"]), newer
    equal(names(filter_string="last_update_time < 1000"), [])


@check("search orders by name, id and time, both ways")
def search_order():
    chosen = {"filter_string": "name LIKE 's-%'"}
    up, down = ["s-0", "s-1", "s-2", "s-3"], ["s-3", "s-2", "s-1", "s-0"]
    equal(names(order_by=["name"], **chosen), up)
    equal(names(order_by=["name DESC"], **chosen), down)
    equal(names(order_by=["experiment_id ASC"], **chosen), up)
    equal(names(order_by=["creation_time DESC", "name DESC"], **chosen), down)
    equal(names(order_by=["last_update_time ASC", "name ASC"], **chosen), up)


@check("search gives pages, and writes in between neither lose nor double one")
def search_pages():
    seen, token = [], None
    while True:
        page = client.search_experiments(
            filter_string="name LIKE 's-%'", order_by=["name ASC"], max_results=1, page_token=token
        )
        seen += [experiment.name for experiment in page]
        token = page.token
        if not token:
            break
    equal(seen, ["s-0", "s-1", "s-2", "s-3"])


@check("impossible filters, orders, limits and tokens are refused")
def bad_search():
    for options in [
        {"filter_string": "name = "},
        {"filter_string": "colour = 'red'"},
        {"filter_string": "name > 'a'"},
        {"filter_string": "name = 's-1' OR name = 's-2'"},
        {"filter_string": "metrics.loss < 1"},
        {"order_by": ["colour"]},
        {"order_by": ["name SIDEWAYS"]},
        {"max_results": 0},
        {"max_results": 50001},
        {"page_token": "not-a-token"},
    ]:
        refused(
            lambda options=options: client.search_experiments(**options), "INVALID_PARAMETER_VALUE"
        )


run_checks()
