"""Runs projects with the stock client, as a JSON list of arguments says, and prints their run ids."""

import json
import sys

import mlflow
from mlflow.exceptions import ExecutionException


def run(arguments):
    try:
        return mlflow.projects.run(**arguments).run_id
    except ExecutionException as error:
        # "Run (ID '...') failed"
        return str(error).split("'")[1]


print(json.dumps([run(arguments) for arguments in json.loads(sys.argv[1])]))
