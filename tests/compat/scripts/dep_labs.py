"""The labs of examples/labs, as a person runs them."""

import contextlib
import os
import re
import runpy
import subprocess
import sys

from sm_checks import HERE, ROLE, captured

ROOT = os.path.abspath(os.path.join(HERE, "..", "..", ".."))
os.environ["SAGEMAKER_ROLE"] = ROLE


def run_lab(script, *args):
    """Runs a lab's script and returns what it has printed."""
    before = sys.argv
    sys.argv = [script] + list(args)
    try:
        with captured() as output, contextlib.redirect_stderr(sys.__stderr__):
            runpy.run_path(os.path.join(ROOT, "examples", "labs", script), run_name="__main__")
    finally:
        sys.argv = before
    return output.getvalue()


def printed(output, label):
    """What a lab has printed after a label, at the beginning of a line."""
    found = re.search(r"^{}: *(.*)$".format(re.escape(label)), output, re.MULTILINE)
    if found is None:
        raise AssertionError("there is no {!r} in {}".format(label, output[-2000:]))
    return found.group(1)


def millrace(*args):
    """Runs our command line and returns its output."""
    main = os.path.join(ROOT, "packages", "cli", "src", "main.ts")
    done = subprocess.run(["node", main] + list(args), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return done.stdout.decode()
