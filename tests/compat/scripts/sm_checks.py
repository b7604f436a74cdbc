"""Named checks of a script that uses the SDKs of AWS, reported one by one as JSON lines."""

import contextlib
import io
import json
import os
import sys
import tarfile
import traceback

BUCKET = "sagemaker-us-east-1-123456789012"
ROLE = "arn:aws:iam::123456789012:role/MillraceSageMakerRole"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/python-training:1"
HERE = os.path.dirname(os.path.abspath(__file__))

_checks = []


class State(dict):
    """What earlier checks leave for later ones."""

    def __missing__(self, key):
        raise AssertionError("an earlier check failed before it had {}".format(key))


def check(name):
    """Registers a function as a check."""

    def register(function):
        _checks.append((name, function))
        return function

    return register


def run_checks():
    """Runs all checks in their order; one that fails does not keep the others from running."""
    for name, function in _checks:
        _report({"begin": name})
        try:
            function()
            _report({"check": name, "ok": True, "detail": ""})
        except Exception:
            _report({"check": name, "ok": False, "detail": traceback.format_exc()})
    _report({"end": len(_checks)})


def equal(actual, expected):
    """Fails showing both values."""
    if actual != expected:
        raise AssertionError("expected {!r}, got {!r}".format(expected, actual))


def contains(text, *parts):
    """Fails showing the text unless it has all parts."""
    for part in parts:
        if part not in text:
            raise AssertionError("{!r} is not in {!r}".format(part, text))


@contextlib.contextmanager
def captured():
    """What is printed meanwhile."""
    written = io.StringIO()
    with contextlib.redirect_stdout(written):
        yield written


def source_tar(*files):
    """An archive of files beside this one, as bytes; the first one is called train.py."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for index, name in enumerate(files):
            tar.add(os.path.join(HERE, name), arcname="train.py" if index == 0 else name)
    return archive.getvalue()


def members(body):
    """The files in an archive of gzip by name, with their text."""
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        return {
            item.name.lstrip("./"): tar.extractfile(item).read().decode()
            for item in tar.getmembers()
            if item.isfile()
        }


def _report(line):
    sys.stdout.flush()
    sys.stderr.flush()
    sys.__stdout__.write("\n" + json.dumps(line) + "\n")
    sys.__stdout__.flush()
