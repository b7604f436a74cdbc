"""Artifacts through MlflowClient: up, list, down, and every kind that a run can log."""

import os

import mlflow
import numpy
import pandas
import requests
from matplotlib.figure import Figure
from mlflow import MlflowClient

from checks import State, check, equal, refused, run_checks

client = MlflowClient()
state = State(experiment=client.create_experiment("artifacts"))

# Not here, because the client itself loses them on the way: `%41`, which it sends as `A`, and `#`.
ODD_NAMES = [
    "with space.txt",
    "100%.txt",
    "plus+sign.txt",
    "Ünïcödé 実験 🚀.txt",
    "amp&equals=question.txt",
    "semi;colon,comma.txt",
    "quote'.txt",
    ".hidden",
    "UPPER.TXT",
    "no-extension",
    "~tilde.txt",
    "(round) [square] {curly}.txt",
    "two..dots.txt",
]


def new_run():
    return client.create_run(state["experiment"]).info.run_id


def listing(run_id, path=None):
    return [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(run_id, path)]


def content(run_id, path):
    with open(client.download_artifacts(run_id, path), "rb") as file:
        return file.read()


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


@check("a new run has no artifacts")
def empty():
    equal(listing(new_run()), [])


@check("a file goes up to the root and into a folder and comes down the same")
def log_artifact():
    run_id, data = new_run(), os.urandom(100_000)
    write("weights.bin", data)
    client.log_artifact(run_id, "weights.bin")
    client.log_artifact(run_id, "weights.bin", "deep/er")
    equal(listing(run_id), [("deep", True, None), ("weights.bin", False, 100_000)])
    equal(listing(run_id, "deep/er"), [("deep/er/weights.bin", False, 100_000)])
    equal((content(run_id, "weights.bin"), content(run_id, "deep/er/weights.bin")), (data, data))


@check("an empty file stays an empty file")
def empty_file():
    run_id = new_run()
    write("empty.txt", "")
    client.log_artifact(run_id, "empty.txt")
    ((path, is_dir, size),) = listing(run_id)
    equal((path, is_dir, content(run_id, path)), ("empty.txt", False, b""))
    # A stock server leaves out the size of an empty file.
    assert size in (0, None), size


@check("a file that goes up again replaces the one before it")
def replace():
    run_id = new_run()
    client.log_text(run_id, "first, and longer", "note.txt")
    client.log_text(run_id, "second", "note.txt")
    equal((content(run_id, "note.txt"), listing(run_id)), (b"second", [("note.txt", False, 6)]))


@check("a folder named like a file lists its files")
def folder():
    run_id = new_run()
    client.log_text(run_id, "a", "model.v1/a.txt")
    client.log_text(run_id, "b", "model.v1/b/c.txt")
    equal(listing(run_id), [("model.v1", True, None)])
    equal(listing(run_id, "model.v1"), [("model.v1/a.txt", False, 1), ("model.v1/b", True, None)])


@check("listing a file or a folder that is not there gives nothing")
def empty_listings():
    run_id = new_run()
    client.log_text(run_id, "a", "a.txt")
    equal((listing(run_id, "a.txt"), listing(run_id, "nowhere")), ([], []))


@check("names with spaces, percent and plus signs, quotes and other scripts survive up and down")
def odd_names():
    run_id = new_run()
    for name in ODD_NAMES:
        write(os.path.join("odd", name), "in " + name)
    client.log_artifacts(run_id, "odd", "földer with 50% +")
    names = [os.path.basename(path) for path, _, _ in listing(run_id, "földer with 50% +")]
    equal(sorted(names), sorted(ODD_NAMES))
    local = client.download_artifacts(run_id, "földer with 50% +")
    for name in ODD_NAMES:
        with open(os.path.join(local, name), encoding="utf-8") as file:
            equal(file.read(), "in " + name)
        equal(content(run_id, "földer with 50% +/" + name), ("in " + name).encode())


@check("a whole folder comes down with every level of it")
def download_tree():
    run_id = new_run()
    tree = {"a.txt": "a", "b/c.txt": "c", "b/d/e.txt": "e", "b/d/f/g.txt": "g"}
    for path, text in tree.items():
        client.log_text(run_id, text, path)
    local = client.download_artifacts(run_id, "")
    for path, text in tree.items():
        with open(os.path.join(local, path)) as file:
            equal(file.read(), text)


@check("downloading what is not there is refused")
def missing():
    run_id = new_run()
    for path in ["nowhere.txt", "nowhere/nothing.txt"]:
        try:
            local = client.download_artifacts(run_id, path)
        except mlflow.exceptions.MlflowException:
            continue
        raise AssertionError("got {}".format(local))


@check("paths that leave the run's folder are refused")
def outside():
    run_id = new_run()
    client.log_text(run_id, "a", "a.txt")
    for path in ["../../", "..", "a/../../b", "/etc"]:
        try:
            files = client.list_artifacts(run_id, path)
        except requests.exceptions.HTTPError as error:
            equal(error.response.status_code, 400)
            assert "INVALID_PARAMETER_VALUE" in error.response.text, error.response.text
            continue
        raise AssertionError("{} lists {}".format(path, files))


@check("text and dictionaries come back as they were")
def text_and_dictionary():
    run_id, table = new_run(), {"b": [1, 2.5, None], "a": {"é": "ü"}}
    client.log_text(run_id, "Größe: 3\n", "notes/size.txt")
    client.log_dict(run_id, table, "config.json")
    client.log_dict(run_id, table, "config.yaml")
    uri = client.get_run(run_id).info.artifact_uri
    equal(mlflow.artifacts.load_text(uri + "/notes/size.txt"), "Größe: 3\n")
    equal(mlflow.artifacts.load_dict(uri + "/config.json"), table)
    assert "b:" in mlflow.artifacts.load_text(uri + "/config.yaml")


@check("figures and images are stored as pictures")
def pictures():
    run_id = new_run()
    figure = Figure()
    figure.subplots().plot([1, 2, 3])
    client.log_figure(run_id, figure, "plots/line.png")
    pixels = numpy.random.default_rng(1).integers(0, 255, (8, 9, 3), dtype=numpy.uint8)
    client.log_image(run_id, pixels, "noise.png")
    equal(content(run_id, "plots/line.png")[:8], b"\x89PNG\r\n\x1a\n")
    image = mlflow.artifacts.load_image(client.get_run(run_id).info.artifact_uri + "/noise.png")
    equal(numpy.asarray(image)[..., :3].tolist(), pixels.tolist())


@check("images of steps are stored under their key with a preview")
def step_images():
    run_id = new_run()
    pixels = numpy.zeros((8, 8, 3), dtype=numpy.uint8)
    for step in (0, 1):
        client.log_image(run_id, pixels, key="samples", step=step, synchronous=True)
    names = [os.path.basename(path) for path, _, _ in listing(run_id, "images")]
    equal(len(names), 4)
    assert all(name.startswith("samples") for name in names), names


@check("a table grows by every log_table and loads as a data frame")
def table():
    run_id = new_run()
    client.log_table(run_id, {"question": ["a"], "answer": ["yes"]}, "qa.json")
    client.log_table(run_id, pandas.DataFrame({"question": ["b"], "answer": ["no"]}), "qa.json")
    frame = client.load_table(state["experiment"], "qa.json", run_ids=[run_id])
    equal(frame[["question", "answer"]].values.tolist(), [["a", "yes"], ["b", "no"]])
    tags = client.get_run(run_id).data.tags
    assert "qa.json" in tags["mlflow.loggedArtifacts"], tags


@check("a stream is stored without a local file")
def stream():
    import io

    run_id = new_run()
    client.log_stream(run_id, io.BytesIO(b"from a stream"), "stream.bin")
    equal(content(run_id, "stream.bin"), b"from a stream")


@check("a file of 20 MB arrives whole")
def large():
    import hashlib

    run_id, data = new_run(), os.urandom(20_000_000)
    write("large.bin", data)
    client.log_artifact(run_id, "large.bin")
    digest = hashlib.sha256(content(run_id, "large.bin")).hexdigest()
    equal(digest, hashlib.sha256(data).hexdigest())


@check("the fluent functions reach the same artifacts")
def fluent():
    with mlflow.start_run(experiment_id=state["experiment"]) as run:
        mlflow.log_text("hello", "a/hello.txt")
    files = mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="a")
    equal([file.path for file in files], ["a/hello.txt"])
    local = mlflow.artifacts.download_artifacts(artifact_uri=run.info.artifact_uri + "/a/hello.txt")
    with open(local) as file:
        equal(file.read(), "hello")


run_checks()
