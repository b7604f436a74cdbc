"""Registered models and versions through MlflowClient: life, stages, aliases, tags, search."""

import os

import mlflow
from mlflow import MlflowClient

from checks import State, check, equal, refused, run_checks

client = MlflowClient()
state = State(experiment=client.create_experiment("registry"))


def model_names(**options):
    return [model.name for model in client.search_registered_models(**options)]


def versions(filter_string, **options):
    found = client.search_model_versions(filter_string, **options)
    return [(version.name, str(version.version)) for version in found]


def new_version(name, **options):
    run_id = client.create_run(state["experiment"]).info.run_id
    client.log_text(run_id, "flavors: {}\n", "model/MLmodel")
    source = client.get_run(run_id).info.artifact_uri + "/model"
    return client.create_model_version(name, source, run_id, **options)


@check("a registered model keeps its description and tags")
def create():
    model = client.create_registered_model("first", tags={"a": "1"}, description="what it is")
    stored = client.get_registered_model("first")
    equal((stored.name, stored.description, stored.tags), ("first", "what it is", {"a": "1"}))
    equal((stored.latest_versions, stored.aliases), ([], {}))
    assert stored.creation_timestamp == model.creation_timestamp > 1_600_000_000_000, stored


@check("a name that is taken or impossible is refused")
def bad_names():
    refused(lambda: client.create_registered_model("first"), "RESOURCE_ALREADY_EXISTS", "first")
    for name in ["", "a/b", "a:b"]:
        refused(lambda: client.create_registered_model(name), "INVALID_PARAMETER_VALUE")


@check("an unknown model or version is refused by name")
def unknown():
    for call in [
        lambda: client.get_registered_model("nowhere"),
        lambda: client.delete_registered_model("nowhere"),
        lambda: client.update_registered_model("nowhere", "d"),
        lambda: client.rename_registered_model("nowhere", "elsewhere"),
        lambda: client.set_registered_model_tag("nowhere", "a", "b"),
        lambda: client.set_registered_model_alias("nowhere", "a", "1"),
        lambda: client.create_model_version("nowhere", "s3://bucket/x"),
        lambda: client.get_latest_versions("nowhere"),
    ]:
        refused(call, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=nowhere not found")
    for call in [
        lambda: client.get_model_version("first", "7"),
        lambda: client.delete_model_version("first", "7"),
        lambda: client.update_model_version("first", "7", "d"),
        lambda: client.transition_model_version_stage("first", "7", "Staging"),
        lambda: client.set_registered_model_alias("first", "a", "7"),
        lambda: client.get_model_version_download_uri("first", "7"),
    ]:
        refused(call, "RESOURCE_DOES_NOT_EXIST", "Model Version (name=first, version=7) not found")


@check("versions count up and keep run, source, description and tags")
def create_versions():
    one = new_version("first", tags={"t": "1"}, description="the first one")
    two = new_version("first", run_link="http://example.com/run")
    equal((str(one.version), str(two.version)), ("1", "2"))
    stored = client.get_model_version("first", "1")
    equal((stored.description, stored.tags, stored.run_id), ("the first one", {"t": "1"}, one.run_id))
    equal((stored.source, stored.status, stored.current_stage), (one.source, "READY", "None"))
    assert stored.source.endswith("/" + one.run_id + "/artifacts/model"), stored.source
    equal(client.get_model_version("first", "2").run_link, "http://example.com/run")
    latest = client.get_registered_model("first").latest_versions
    equal([str(version.version) for version in latest], ["2"])


@check("a new version counts on from the highest number")
def delete_version():
    client.create_registered_model("numbers")
    for _ in range(3):
        new_version("numbers")
    client.delete_model_version("numbers", "2")
    refused(lambda: client.get_model_version("numbers", "2"), "RESOURCE_DOES_NOT_EXIST")
    equal(str(new_version("numbers").version), "4")


@check("descriptions are updated and times move on")
def update():
    before = client.get_registered_model("first")
    client.update_registered_model("first", description="better")
    client.update_model_version("first", "1", description="older")
    after = client.get_registered_model("first")
    equal(after.description, "better")
    assert after.last_updated_timestamp >= before.last_updated_timestamp, after
    version = client.get_model_version("first", "1")
    equal(version.description, "older")
    assert version.last_updated_timestamp >= version.creation_timestamp, version


@check("tags of models and versions are set, replaced and deleted")
def tags():
    client.set_registered_model_tag("first", "a", "2")
    client.set_registered_model_tag("first", "b", "3")
    client.delete_registered_model_tag("first", "b")
    equal(client.get_registered_model("first").tags, {"a": "2"})
    client.set_model_version_tag("first", "1", "t", "2")
    client.set_model_version_tag("first", "1", "u", "3")
    client.delete_model_version_tag("first", "1", "u")
    equal(client.get_model_version("first", "1").tags, {"t": "2"})


@check("the stages of a version are the four of old, case aside")
def stages():
    client.transition_model_version_stage("first", "1", "staging")
    equal(client.get_model_version("first", "1").current_stage, "Staging")
    client.transition_model_version_stage("first", "2", "Production")
    stages = {v.current_stage: str(v.version) for v in client.get_latest_versions("first")}
    equal(stages, {"Staging": "1", "Production": "2"})
    equal([str(v.version) for v in client.get_latest_versions("first", ["Production"])], ["2"])
    equal(client.get_latest_versions("first", ["Archived"]), [])
    client.transition_model_version_stage("first", "1", "Production", archive_existing_versions=True)
    equal(client.get_model_version("first", "2").current_stage, "Archived")
    refused(
        lambda: client.transition_model_version_stage("first", "1", "Live"),
        "INVALID_PARAMETER_VALUE",
        "Invalid Model Version stage",
    )
    refused(
        lambda: client.transition_model_version_stage(
            "first", "1", "Archived", archive_existing_versions=True
        ),
        "INVALID_PARAMETER_VALUE",
        stock="INTERNAL_ERROR",
    )
    equal(
        client.get_model_version_stages("first", "1"), ["None", "Staging", "Production", "Archived"]
    )


@check("a tag of a version can be set by the version's stage")
def tag_by_stage():
    client.set_model_version_tag("first", key="by", value="stage", stage="Production")
    equal(client.get_model_version("first", "1").tags["by"], "stage")
    client.delete_model_version_tag("first", key="by", stage="Production")
    assert "by" not in client.get_model_version("first", "1").tags


@check("an alias moves between versions and goes with its deletion")
def aliases():
    client.set_registered_model_alias("first", "champion", "1")
    client.set_registered_model_alias("first", "champion", "2")
    client.set_registered_model_alias("first", "challenger", "2")
    equal(str(client.get_model_version_by_alias("first", "champion").version), "2")
    equal(sorted(client.get_model_version("first", "2").aliases), ["challenger", "champion"])
    equal(client.get_model_version("first", "1").aliases, [])
    aliases = client.get_registered_model("first").aliases
    equal({k: str(v) for k, v in aliases.items()}, {"champion": "2", "challenger": "2"})
    client.delete_registered_model_alias("first", "challenger")
    refused(
        lambda: client.get_model_version_by_alias("first", "challenger"),
        "INVALID_PARAMETER_VALUE",
        "Registered model alias challenger not found.",
    )


@check("aliases named like versions, latest or with odd signs are refused")
def bad_aliases():
    for alias in ["v1", "V22", "latest", "LATEST", "", "a b", "a.b", "a/b", "a" * 256]:
        refused(
            lambda: client.set_registered_model_alias("first", alias, "1"), "INVALID_PARAMETER_VALUE"
        )


@check("deleting a version takes its aliases along")
def alias_of_deleted():
    version = str(new_version("first").version)
    client.set_registered_model_alias("first", "short", version)
    client.delete_model_version("first", version)
    assert "short" not in client.get_registered_model("first").aliases


@check("a copied version keeps source, run, description and tags")
def copy():
    copy = client.copy_model_version("models:/first/1", "copies")
    original = client.get_model_version("first", "1")
    stored = client.get_model_version("copies", "1")
    equal((copy.name, str(copy.version)), ("copies", "1"))
    equal(stored.source, "models:/first/1")
    equal((stored.run_id, stored.description), (original.run_id, original.description))
    equal(stored.tags, original.tags)
    equal(
        client.get_model_version_download_uri("copies", "1"),
        client.get_model_version_download_uri("first", "1"),
    )
    again = client.copy_model_version("models:/first@champion", "copies")
    equal((str(again.version), again.source), ("2", "models:/first/2"))
    refused(
        lambda: client.copy_model_version("models:/first/99", "copies"),
        "INTERNAL_ERROR",  # the client's own code for what it could not fetch
        "Model Version (name=first, version=99) not found",
    )


@check("the files of a version come down by its uri, its copy's and its alias's")
def download():
    for uri in ["models:/first/1", "models:/copies/1", "models:/first@champion"]:
        local = mlflow.artifacts.download_artifacts(uri)
        with open(os.path.join(local, "MLmodel")) as file:
            assert file.read().startswith("flavors: {}"), uri


@check("a renamed model takes its versions, tags and aliases along")
def rename():
    client.create_registered_model("old-name", tags={"a": "1"})
    new_version("old-name")
    client.set_registered_model_alias("old-name", "champion", "1")
    client.rename_registered_model("old-name", "new-name")
    refused(lambda: client.get_registered_model("old-name"), "RESOURCE_DOES_NOT_EXIST")
    model = client.get_registered_model("new-name")
    equal((model.tags, list(model.aliases)), ({"a": "1"}, ["champion"]))
    equal(str(client.get_model_version_by_alias("new-name", "champion").version), "1")
    equal(versions("name='new-name'"), [("new-name", "1")])
    refused(
        lambda: client.rename_registered_model("new-name", "first"),
        "RESOURCE_ALREADY_EXISTS",
        "first",
    )


@check("a deleted model is gone with its versions, and its name is free")
def delete():
    client.create_registered_model("gone")
    new_version("gone")
    client.delete_registered_model("gone")
    refused(lambda: client.get_registered_model("gone"), "RESOURCE_DOES_NOT_EXIST")
    equal(versions("name='gone'"), [])
    client.create_registered_model("gone")
    equal(str(new_version("gone").version), "1")


@check("names keep spaces, dots, percent signs and other scripts")
def odd_names():
    for name in ["with space", "a.b-c_d", "50%+1", "Ünïcödé 実験 🚀", "it's \"quoted\""]:
        client.create_registered_model(name, tags={"odd": "yes"})
        new_version(name)
        equal(client.get_registered_model(name).name, name)
        equal(client.get_model_version(name, "1").name, name)
    equal(len(model_names(filter_string="tags.odd = 'yes'")), 5)


@check("search of models filters by name and tag, orders and gives pages")
def search_models():
    for number in range(4):
        client.create_registered_model("s-%d" % number, tags={"half": "ab"[number % 2]})
    equal(model_names(filter_string="name = 's-1'"), ["s-1"])
    equal(model_names(filter_string="name LIKE 's-%'"), ["s-0", "s-1", "s-2", "s-3"])
    equal(model_names(filter_string="name ILIKE 'S-%' AND tag.half = 'b'"), ["s-1", "s-3"])
    equal(model_names(filter_string="name LIKE 's-%' AND tags.half != 'b'"), ["s-0", "s-2"])
    equal(
        model_names(filter_string="name LIKE 's-%'", order_by=["name DESC"]),
        ["s-3", "s-2", "s-1", "s-0"],
    )
    equal(
        model_names(filter_string="name LIKE 's-%'", order_by=["last_updated_timestamp ASC", "name"]),
        ["s-0", "s-1", "s-2", "s-3"],
    )
    seen, token = [], None
    while True:
        page = client.search_registered_models("name LIKE 's-%'", max_results=1, page_token=token)
        seen += [model.name for model in page]
        token = page.token
        if not token:
            break
    equal(seen, ["s-0", "s-1", "s-2", "s-3"])


@check("search of versions filters by model, run, source and tag, orders and gives pages")
def search_versions():
    client.create_registered_model("v")
    made = [new_version("v", tags={"n": str(number)}) for number in range(3)]
    equal(versions("name='v'"), [("v", "3"), ("v", "2"), ("v", "1")])
    equal(versions("run_id = '%s'" % made[1].run_id), [("v", "2")])
    equal(versions("name = 'v' AND tags.n = '2'"), [("v", "3")])
    equal(versions("run_id IN ('%s', '%s')" % (made[0].run_id, made[2].run_id)), [("v", "3"), ("v", "1")])
    equal(versions("source_path = '%s'" % made[0].source), [("v", "1")])
    equal(versions("version_number = 2 AND name = 'v'"), [("v", "2")])
    equal(versions("name LIKE 'v%'", order_by=["version_number ASC"])[0], ("v", "1"))
    seen, token = [], None
    while True:
        page = client.search_model_versions("name='v'", max_results=1, page_token=token)
        seen += [str(version.version) for version in page]
        token = page.token
        if not token:
            break
    equal(seen, ["3", "2", "1"])


@check("impossible filters, orders, limits and tokens are refused")
def bad_search():
    for options in [
        {"filter_string": "name = "},
        {"filter_string": "colour = 'red'"},
        {"filter_string": "name > 'a'"},
        {"order_by": ["colour"]},
        {"max_results": 1001},
        {"page_token": "not-a-token"},
    ]:
        refused(lambda: client.search_registered_models(**options), "INVALID_PARAMETER_VALUE")
    for options in [
        {"filter_string": "colour = 'red'"},
        {"filter_string": "run_id IN ()"},
        {"order_by": ["colour"]},
        {"max_results": 0},
        {"max_results": 200001},
        {"page_token": "not-a-token"},
    ]:
        refused(lambda: client.search_model_versions(**options), "INVALID_PARAMETER_VALUE")


@check("a source outside of every store is refused")
def bad_sources():
    run_id = client.create_run(state["experiment"]).info.run_id
    for source in ["/etc", "file:///etc", "mlflow-artifacts:/../../etc"]:
        refused(
            lambda: client.create_model_version("first", source, run_id), "INVALID_PARAMETER_VALUE"
        )


run_checks()
