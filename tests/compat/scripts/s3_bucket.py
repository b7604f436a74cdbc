"""What the checks of S3 share: runs, files of known content, and a look into the bucket itself."""

import hashlib
import os

import boto3
import mlflow
from botocore.config import Config
from mlflow import MlflowClient

BUCKET = os.environ["S3_CHECK_BUCKET"]
MIB = 1024 * 1024

client = MlflowClient()

_s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["S3_CHECK_ENDPOINT"],
    aws_access_key_id="S3RVER",
    aws_secret_access_key="S3RVER",
    region_name="us-east-1",
    config=Config(s3={"addressing_style": "path"}),
)


def new_run(experiment):
    found = client.get_experiment_by_name(experiment)
    experiment_id = found.experiment_id if found else client.create_experiment(experiment)
    return client.create_run(experiment_id).info


def write(path, data):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    return path


def read(path):
    with open(path, "rb") as file:
        return file.read()


def download(run_id, path=""):
    target = os.path.join("down", hashlib.md5((run_id + path).encode()).hexdigest())
    os.makedirs(target, exist_ok=True)
    return client.download_artifacts(run_id, path, target)


def listing(run_id, path=None):
    return [(f.path, f.is_dir, f.file_size) for f in client.list_artifacts(run_id, path)]


def stored(prefix):
    """Keys below a prefix of the bucket with their ETags."""
    pages = _s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    return {o["Key"]: o["ETag"] for page in pages for o in page.get("Contents", [])}


def metadata(key):
    return _s3.head_object(Bucket=BUCKET, Key=key)["Metadata"]


def unfinished_uploads():
    return _s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])


def server(method, path, **options):
    import requests

    return requests.request(method, mlflow.get_tracking_uri() + path, **options)
