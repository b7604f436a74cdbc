"""Files with awkward names, through whatever keeps the server's artifacts."""

import os

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from checks import check, equal, run_checks

# What the client cannot send to any server: a `?` or `#` in a name ends the URL, `%41` becomes `A`, and
# a space at the beginning is lost.
NAMES = [
    "with space.txt",
    "space at its end ",
    "100%.txt",
    "%",
    "plus+sign",
    "a&b=c;d,e@f:g",
    "it's",
    "(round) [square] {curly}",
    "$HOME ~ ! *",
    "quote\"s",
    "caret^pipe|tick`",
    "<tag>",
    ".hidden",
    "...",
    "..two",
    "trailing.",
    "-rf",
    "Ünïcödé",
    "e\u0301",
    "実験",
    "🚀",
    "x" * 200,
]
client = MlflowClient()


def new_run():
    return client.create_run(client.create_experiment("names " + os.urandom(4).hex()))


def write(folder, names):
    for name in names:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(name)


def files_below(folder):
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            with open(path) as file:
                found[os.path.relpath(path, folder)] = file.read()
    return found


@check("files with awkward names go up in a folder, are listed, and come down the same")
def files():
    run = new_run()
    write("files", NAMES)
    client.log_artifacts(run.info.run_id, "files", "deep/er")
    listed = client.list_artifacts(run.info.run_id, "deep/er")
    equal(sorted(entry.path for entry in listed), sorted("deep/er/" + name for name in NAMES))
    equal({entry.file_size for entry in listed if entry.path.endswith("実験")}, {6})
    got = download_artifacts(run_id=run.info.run_id, artifact_path="deep/er")
    equal(files_below(got), {name: name for name in NAMES})


@check("a file with an awkward name goes up and comes down by itself")
def one_by_one():
    run = new_run()
    for name in ["100%.txt", "plus+sign", "with space.txt", "実験", ".hidden"]:
        write("single", [name])
        client.log_artifact(run.info.run_id, os.path.join("single", name))
        got = download_artifacts(run_id=run.info.run_id, artifact_path=name)
        with open(got) as file:
            equal(file.read(), name)


@check("folders with awkward names are folders")
def folders():
    run = new_run()
    names = ["with space", "100%", "plus+sign", ".hidden", "Ünïcödé 実験"]
    write("folders", [name + "/100% in side" for name in names])
    client.log_artifacts(run.info.run_id, "folders")
    listed = client.list_artifacts(run.info.run_id)
    equal(sorted((entry.path, entry.is_dir) for entry in listed), sorted((n, True) for n in names))
    for name in names:
        inside = client.list_artifacts(run.info.run_id, name)
        equal([(entry.path, entry.is_dir) for entry in inside], [(name + "/100% in side", False)])


run_checks()
