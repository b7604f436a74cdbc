"""Named checks of a client script, reported one by one as JSON lines; runs on Python 3.8."""

import json
import os
import sys
import traceback

import mlflow

_checks = []

STOCK = os.environ.get("MILLRACE_COMPAT_TARGET", "millrace") != "millrace"

CLIENT = tuple(int(part) for part in mlflow.__version__.split(".")[:2])


class State(dict):
    """What earlier checks leave for later ones."""

    def __missing__(self, key):
        raise AssertionError("an earlier check failed before it had {}".format(key))


def check(name, since=(0, 0), until=(99, 0)):
    """Registers a function as a check of clients from version `since` up to, not including, `until`."""

    def register(function):
        if since <= CLIENT < until:
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
        except AssertionError as error:
            _report({"check": name, "ok": False, "detail": _where(error)})
        except Exception:
            _report({"check": name, "ok": False, "detail": traceback.format_exc()})
    _report({"end": len(_checks)})


def equal(actual, expected):
    """Fails showing both values."""
    if actual != expected:
        raise AssertionError("expected {!r}, got {!r}".format(expected, actual))


def refused(call, error_code, *words, stock=None):
    """
    Fails unless the call raises an MlflowException with that code and all words in its message.
    `stock` is what a stock server answers where its own code is a mistake; ours must not make it.
    """
    expected = stock if STOCK and stock else error_code
    try:
        answer = call()
    except mlflow.exceptions.MlflowException as error:
        if error.error_code != expected:
            raise AssertionError("expected {}, got {}".format(expected, error))
        missing = [word for word in words if word not in str(error)]
        if missing and expected == error_code:
            raise AssertionError("{!r} is not in {!r}".format(missing[0], str(error)))
        return
    raise AssertionError("expected {}, got {!r}".format(expected, answer))


def _where(error):
    """The assertion's message with the line of the check that made it."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = [frame for frame in frames if frame.filename != __file__][-1]
    return "{}\n  line {}: {}".format(error, frame.lineno, frame.line)


def _report(line):
    # A line of its own even when the client left the terminal in the middle of one.
    sys.stdout.flush()
    sys.stderr.flush()
    sys.stdout.write("\n" + json.dumps(line) + "\n")
    sys.stdout.flush()
