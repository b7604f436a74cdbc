"""Artifacts that the server keeps in S3 while the client knows nothing of it."""

import hashlib
import os

import mlflow
import requests
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sklearn.linear_model import LogisticRegression

from checks import State, check, equal, run_checks
from s3_bucket import (
    BUCKET,
    MIB,
    client,
    download,
    listing,
    metadata,
    new_run,
    read,
    server,
    stored,
    unfinished_uploads,
    write,
)

state = State()


@check("a file goes up and comes down the same, and is an object with its SHA-256")
def one_file():
    run, data = new_run("proxied"), os.urandom(100_000)
    client.log_artifact(run.run_id, write("weights.bin", data), "deep/er")
    equal(run.artifact_uri.split(":")[0], "mlflow-artifacts")
    equal(listing(run.run_id, "deep/er"), [("deep/er/weights.bin", False, 100_000)])
    equal(read(download(run.run_id, "deep/er/weights.bin")), data)
    key = "kept/here/{}/{}/artifacts/deep/er/weights.bin".format(run.experiment_id, run.run_id)
    equal(metadata(key)["sha256"], hashlib.sha256(data).hexdigest())


@check("a file of several parts streams through the server and leaves no unfinished upload")
def large_file():
    run, data = new_run("proxied"), os.urandom(20 * MIB + 1)
    client.log_artifact(run.run_id, write("large.bin", data))
    equal(read(download(run.run_id, "large.bin")), data)
    ((key, etag),) = stored("kept/here/{}/{}/".format(run.experiment_id, run.run_id)).items()
    assert etag.endswith('-3"'), etag
    equal(unfinished_uploads(), [])


@check("a folder with odd names goes up and down")
def folder():
    run = new_run("proxied")
    names = ["with space.txt", "100%.txt", "plus+sign.txt", "Ünïcödé 実験 🚀.txt", "a&b=c;d,e.txt"]
    for name in names:
        write(os.path.join("folder", "sub", name), name.encode())
    client.log_artifacts(run.run_id, "folder")
    got = download(run.run_id)
    equal(sorted(os.listdir(os.path.join(got, "sub"))), sorted(names))
    for name in names:
        equal(read(os.path.join(got, "sub", name)), name.encode())


@check("the pages' own way to a file serves ranges for resumed downloads")
def ranges():
    run = new_run("proxied")
    client.log_artifact(run.run_id, write("digits.txt", b"0123456789"))
    path = "/get-artifact?path=digits.txt&run_id=" + run.run_id
    whole = server("GET", path)
    etag = whole.headers["ETag"]
    equal((whole.status_code, whole.content), (200, b"0123456789"))
    part = server("GET", path, headers={"Range": "bytes=4-", "If-Range": etag})
    equal((part.status_code, part.content), (206, b"456789"))
    equal(part.headers["Content-Range"], "bytes 4-9/10")
    client.log_artifact(run.run_id, write("digits.txt", b"abcdefghij"))
    changed = server("GET", path, headers={"Range": "bytes=4-", "If-Range": etag})
    equal((changed.status_code, changed.content), (200, b"abcdefghij"))


@check("a model is logged, registered, loaded by name and shown file by file")
def model():
    mlflow.set_experiment("models")
    with mlflow.start_run():
        fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        mlflow.sklearn.log_model(
            fitted, name="model", registered_model_name="kept in S3", pip_requirements=["scikit-learn"]
        )
    loaded = mlflow.sklearn.load_model("models:/kept in S3/1")
    equal(list(loaded.predict([[0.0], [1.0]])), [0, 1])
    shown = server("GET", "/model-versions/get-artifact?name=kept in S3&version=1&path=MLmodel")
    equal(shown.status_code, 200)
    assert "sklearn" in shown.text, shown.text


@check("deleted artifacts are gone from the bucket")
def delete():
    run = new_run("proxied")
    for name in ["a.txt", "dir/b.txt", "dir/c/d.txt"]:
        client.log_artifact(run.run_id, write(name, b"x"), os.path.dirname(name) or None)
    repository = get_artifact_repository(run.artifact_uri)
    repository.delete_artifacts("dir")
    equal(listing(run.run_id), [("a.txt", False, 1)])
    keys = stored("kept/here/{}/{}/".format(run.experiment_id, run.run_id))
    equal([key.rsplit("/", 1)[1] for key in keys], ["a.txt"])


@check("a missing file is a 404 that names it")
def missing():
    run = new_run("proxied")
    answer = server("GET", "/get-artifact?path=no/such.txt&run_id=" + run.run_id)
    equal((answer.status_code, answer.json()["error_code"]), (404, "RESOURCE_DOES_NOT_EXIST"))


@check("a server that gives no links says so")
def no_links():
    info = server("GET", "/api/3.0/mlflow/server-info").json()
    equal((info["multipart_uploads_enabled"], info["multipart_downloads_enabled"]), (False, False))
    create = server("POST", "/api/2.0/mlflow-artifacts/mpu/create/a", json={"path": "b"})
    equal((create.status_code, create.json()["error_code"]), (501, "NOT_IMPLEMENTED"))


run_checks()
