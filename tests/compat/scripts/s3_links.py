"""Artifacts behind the proxy that the client sends and fetches by links straight to S3."""

import os

import requests

from checks import State, check, equal, run_checks
from s3_bucket import (
    MIB,
    client,
    download,
    listing,
    new_run,
    read,
    server,
    stored,
    unfinished_uploads,
    write,
)

state = State()
MPU = "/api/2.0/mlflow-artifacts/mpu/"


@check("the server says that it gives links")
def info():
    answer = server("GET", "/api/3.0/mlflow/server-info").json()
    equal((answer["multipart_uploads_enabled"], answer["multipart_downloads_enabled"]), (True, True))


@check("a file over the threshold goes up in the client's own parts")
def upload():
    run, data = new_run("links"), os.urandom(12 * MIB)
    client.log_artifact(run.run_id, write("über large.bin", data), "to/here")
    equal(listing(run.run_id, "to/here"), [("to/here/über large.bin", False, 12 * MIB)])
    ((_, etag),) = stored("kept/here/{}/{}/".format(run.experiment_id, run.run_id)).items()
    assert etag.endswith('-3"'), etag
    equal(unfinished_uploads(), [])
    state.update(run=run, data=data)


@check("it comes down by a link, in ranges")
def fetch():
    equal(read(download(state["run"].run_id, "to/here/über large.bin")), state["data"])


@check("a small file and an empty one come down by links too")
def small():
    run = new_run("links")
    client.log_artifact(run.run_id, write("small.txt", b"small"))
    client.log_artifact(run.run_id, write("empty.txt", b""))
    equal(read(download(run.run_id, "small.txt")), b"small")
    equal(read(download(run.run_id, "empty.txt")), b"")


@check("a link opens one object by one method")
def one_object():
    run = state["run"]
    path = "{}/{}/artifacts/to/here/über large.bin".format(run.experiment_id, run.run_id)
    link = server("GET", "/api/2.0/mlflow-artifacts/presigned/" + path).json()
    equal(link["file_size"], 12 * MIB)
    got = requests.get(link["url"], headers={**link["headers"], "Range": "bytes=0-9"})
    equal((got.status_code, got.content), (206, state["data"][:10]))
    assert got.headers["Content-Disposition"].startswith("attachment;"), got.headers
    assert "X-Amz-Expires=300" in link["url"], link["url"]


@check("an upload in parts can be given up, and is then unknown")
def abort():
    begun = server("POST", MPU + "create/x", json={"path": "/models/of/me/file.bin", "num_parts": 2})
    equal(len(begun.json()["credentials"]), 2)
    same = {"path": "/models/of/me/file.bin", "upload_id": begun.json()["upload_id"]}
    requests.put(begun.json()["credentials"][0]["url"], data=b"part").raise_for_status()
    equal(len(unfinished_uploads()), 1)
    equal(server("POST", MPU + "abort/x", json=same).status_code, 200)
    equal(unfinished_uploads(), [])
    answer = server("POST", MPU + "abort/x", json=same)
    equal((answer.status_code, answer.json()["error_code"]), (404, "RESOURCE_DOES_NOT_EXIST"))


@check("uploads in parts that cannot be are refused")
def refused():
    for body in [{}, {"path": ".."}, {"path": "a", "num_parts": 0}, {"path": "a", "num_parts": 10001}]:
        equal((body, server("POST", MPU + "create/x", json=body).status_code), (body, 400))
    equal(server("POST", MPU + "create/%2e%2e/x", json={"path": "a"}).status_code, 400)
    equal(server("POST", MPU + "complete/x", json={"path": "a", "upload_id": "u"}).status_code, 400)
    equal(unfinished_uploads(), [])


@check("a link to a missing file is a 404")
def missing():
    answer = server("GET", "/api/2.0/mlflow-artifacts/presigned/no/such.txt")
    equal((answer.status_code, answer.json()["error_code"]), (404, "RESOURCE_DOES_NOT_EXIST"))


run_checks()
