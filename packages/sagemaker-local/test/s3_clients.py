"""What boto3 sees of an S3 server, as one JSON object on standard output.

python s3_clients.py URL
"""

import hashlib
import io
import json
import os
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

url = sys.argv[1]
observed = {}


def client(key="AKID", secret="secret", token=None, **config):
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        region_name="eu-west-1",
        config=Config(retries={"max_attempts": 0}, **config),
    )


def refusal(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return [
            error.response["ResponseMetadata"]["HTTPStatusCode"],
            error.response["Error"]["Code"],
        ]
    return None


def fetch(address, method="GET", body=None, headers=None):
    request = urllib.request.Request(address, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request) as response:
            return [response.status, response.read().decode()]
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        return [error.code, text[text.index("<Code>") + 6 : text.index("</Code>")]]


s3 = client()
s3.create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
observed["location"] = s3.get_bucket_location(Bucket="data")["LocationConstraint"]
observed["again"] = refusal(
    s3.create_bucket,
    Bucket="data",
    CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
)

KEYS = [" ", "a b+c", "a%20b", "//x", "../up", "q?w#e&f=g", "ü/ö", "\U0001f600", "~'()*!", "a=b;c:d@e,f$"]
for key in KEYS:
    s3.put_object(Bucket="data", Key=key, Body=key.encode(), Metadata={"n": "1"})
observed["odd keys"] = [
    key
    for key in KEYS
    if s3.get_object(Bucket="data", Key=key)["Body"].read().decode() != key
]
pages = s3.get_paginator("list_objects_v2").paginate(
    Bucket="data", PaginationConfig={"PageSize": 3}
)
observed["listed"] = [entry["Key"] for page in pages for entry in page["Contents"]] == sorted(
    KEYS, key=lambda key: key.encode()
)

block = os.urandom(1024 * 1024)
body = block * 18 + b"end"
config = TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20)
s3.upload_fileobj(io.BytesIO(body), "data", "big", Config=config)
back = io.BytesIO()
s3.download_fileobj("data", "big", back, Config=config)
s3.copy({"Bucket": "data", "Key": "big"}, "data", "copied", Config=config)
digests = [hashlib.md5(body[at : at + 5 * 2**20]) for at in range(0, len(body), 5 * 2**20)]
joined = hashlib.md5(b"".join(digest.digest() for digest in digests)).hexdigest()
observed["multipart"] = {
    "same": back.getvalue() == body,
    "copy": s3.get_object(Bucket="data", Key="copied")["Body"].read() == body,
    "etag": s3.head_object(Bucket="data", Key="big")["ETag"] == f'"{joined}-{len(digests)}"',
    "left": s3.list_multipart_uploads(Bucket="data").get("Uploads", []),
}

observed["refusals"] = {
    "no bucket": refusal(s3.put_object, Bucket="absent", Key="k", Body=b"x"),
    "no key": refusal(s3.get_object, Bucket="data", Key="absent"),
    "bad md5": refusal(
        s3.put_object, Bucket="data", Key="k", Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA=="
    ),
    "bad crc": refusal(
        s3.put_object, Bucket="data", Key="k", Body=b"x", ChecksumCRC32="AAAAAA=="
    ),
    "unknown key id": refusal(client("NOBODY").list_buckets),
    "wrong secret": refusal(client("AKID", "wrong").list_buckets),
    "wrong token": refusal(client("TEMP", "temporary", "other").list_buckets),
    "missing token": refusal(client("TEMP", "temporary").list_buckets),
    "own condition": refusal(s3.put_object, Bucket="data", Key="big", Body=b"", IfNoneMatch="*"),
    "full bucket": refusal(s3.delete_bucket, Bucket="data"),
    "versioning": refusal(
        s3.put_bucket_versioning,
        Bucket="data",
        VersioningConfiguration={"Status": "Enabled"},
    ),
    "owner": refusal(s3.head_bucket, Bucket="data", ExpectedBucketOwner="999999999999"),
}
temporary = client("TEMP", "temporary", "token/+=")
observed["temporary"] = len(temporary.list_buckets()["Buckets"])

for name, signer in [("v2", s3), ("v4", client(signature_version="s3v4")), ("temporary", temporary)]:
    address = {
        method: signer.generate_presigned_url(
            f"{method.lower()}_object",
            Params={"Bucket": "data", "Key": f"signed ü+{name}"},
            ExpiresIn=60,
        )
        for method in ("PUT", "GET")
    }
    past = signer.generate_presigned_url(
        "get_object", Params={"Bucket": "data", "Key": f"signed ü+{name}"}, ExpiresIn=-10
    )
    observed[f"presigned {name}"] = [
        fetch(address["PUT"], "PUT", b"put", {"Content-Type": ""}),
        fetch(address["GET"]),
        fetch(address["GET"].replace("signed", "other")),
        fetch(past),
    ]

def post(form, body, **changed):
    boundary = "b0undary"
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**form["fields"], **changed}.items()
    ]
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="../n.bin"\r\n'
    whole = "".join(parts).encode() + head.encode() + b"\r\n" + body
    return fetch(
        form["url"],
        "POST",
        whole + f"\r\n--{boundary}--\r\n".encode(),
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )


body = os.urandom(300_000) + b"\r\n--b0undar" + os.urandom(300_000)
for name, signer in [("v2", s3), ("v4", client(signature_version="s3v4"))]:
    form = signer.generate_presigned_post(
        "data",
        "posted/${filename}",
        Fields={"x-amz-meta-a": "1"},
        Conditions=[{"x-amz-meta-a": "1"}, ["content-length-range", 10, 700_000]],
    )
    old = signer.generate_presigned_post("data", "posted/old", ExpiresIn=-10)
    observed[f"posted {name}"] = [
        post(form, body)[0],
        s3.get_object(Bucket="data", Key="posted/n.bin")["Body"].read() == body,
        s3.head_object(Bucket="data", Key="posted/n.bin")["Metadata"],
        post(form, b"small"),
        post(form, body + body),
        post(form, body, **{"x-amz-meta-a": "2"}),
        post(form, body, **{"x-amz-meta-b": "1"}),
        post(form, body, policy=form["fields"]["policy"][:-4] + "AAAA"),
        post(old, body),
        post({"url": form["url"], "fields": {"key": "free"}}, body),
    ]

s3.put_bucket_encryption(
    Bucket="data",
    ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
    },
)
rules = s3.get_bucket_encryption(Bucket="data")["ServerSideEncryptionConfiguration"]["Rules"]
observed["encryption"] = rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"]

bucket = boto3.resource(
    "s3",
    endpoint_url=url,
    aws_access_key_id="AKID",
    aws_secret_access_key="secret",
    region_name="eu-west-1",
).Bucket("data")
bucket.object_versions.filter(Prefix="q").delete()
bucket.objects.all().delete()
observed["emptied"] = s3.list_objects_v2(Bucket="data")["KeyCount"]
s3.delete_bucket(Bucket="data")
observed["buckets"] = s3.list_buckets()["Buckets"]
print(json.dumps(observed))
