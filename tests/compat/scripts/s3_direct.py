"""Runs whose artifacts the client writes to S3 itself; the server only shows them."""

import os

import mlflow
import requests
from sklearn.linear_model import LogisticRegression

from checks import State, check, equal, run_checks
from s3_bucket import BUCKET, MIB, client, download, listing, new_run, read, server, stored, write

state = State()
API = "/api/2.0/mlflow/"


@check("the client writes to the bucket and reads from it")
def log():
    run, data = new_run("direct"), os.urandom(9 * MIB)
    equal(
        run.artifact_uri,
        "s3://{}/direct/{}/{}/artifacts".format(BUCKET, run.experiment_id, run.run_id),
    )
    client.log_artifact(run.run_id, write("large.bin", data), "dir")
    client.log_text(run.run_id, "hello", "note with space+plus%.txt")
    equal(len(stored("direct/{}/{}/".format(run.experiment_id, run.run_id))), 2)
    equal(read(download(run.run_id, "dir/large.bin")), data)
    state.update(run=run, data=data)


@check("the server lists and serves them to its pages")
def shown():
    run = state["run"]
    answer = server("GET", API + "artifacts/list", params={"run_id": run.run_id}).json()
    equal(answer["root_uri"], run.artifact_uri)
    equal(
        answer["files"],
        [
            {"path": "dir", "is_dir": True},
            {"path": "note with space+plus%.txt", "is_dir": False, "file_size": 5},
        ],
    )
    params = {"run_id": run.run_id, "path": "note with space+plus%.txt"}
    equal(server("GET", "/get-artifact", params=params).text, "hello")
    params["path"] = "dir/large.bin"
    equal(server("GET", "/get-artifact", params=params).content, state["data"])


@check("the server gives links to one file, up and down")
def links():
    run = state["run"]
    body = {"run_id": run.run_id, "path": "by link/größe.txt"}
    up = server("POST", API + "artifacts/presigned-upload-url", json=body).json()
    sent = requests.put(up["presigned_url"], data=b"linked", headers=up["headers"])
    equal(sent.status_code, 200)
    equal(up["headers"], {"Content-Type": "text/plain"})
    down = server("POST", API + "artifacts/presigned-download-url", json=body).json()
    equal(down["file_size"], 6)
    got = requests.get(down["presigned_url"], headers=down["headers"])
    equal((got.status_code, got.content), (200, b"linked"))
    equal(listing(run.run_id, "by link"), [("by link/größe.txt", False, 6)])


@check("links are refused for other files, for too long and for both kinds of owner")
def refused_links():
    run_id = state["run"].run_id
    for body in [
        {"run_id": run_id, "path": "../x"},
        {"run_id": run_id, "path": "x", "expiration": 604801},
        {"run_id": run_id, "path": "x", "expiration": 0},
        {"path": "x"},
        {"run_id": run_id, "model_id": "m-1", "path": "x"},
    ]:
        answer = server("POST", API + "artifacts/presigned-upload-url", json=body)
        equal((body, answer.status_code), (body, 400))
    body = {"run_id": run_id, "path": "no/such"}
    answer = server("POST", API + "artifacts/presigned-download-url", json=body)
    equal((answer.status_code, answer.json()["error_code"]), (404, "RESOURCE_DOES_NOT_EXIST"))


@check("a model is logged, registered, loaded and shown from the bucket")
def model():
    mlflow.set_experiment("direct models")
    with mlflow.start_run():
        fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        logged = mlflow.sklearn.log_model(
            fitted, name="model", registered_model_name="direct", pip_requirements=["scikit-learn"]
        )
    version = client.get_model_version("direct", 1)
    assert client.get_model_version_download_uri("direct", 1).startswith("s3://"), version
    loaded = mlflow.sklearn.load_model("models:/direct/1")
    equal(list(loaded.predict([[0.0], [1.0]])), [0, 1])
    shown = server("GET", "/model-versions/get-artifact?name=direct&version=1&path=MLmodel")
    equal(shown.status_code, 200)
    files = "/ajax-api/2.0/mlflow/logged-models/{}/artifacts/files".format(logged.model_id)
    equal(server("GET", files, params={"artifact_file_path": "MLmodel"}).text, shown.text)


run_checks()
