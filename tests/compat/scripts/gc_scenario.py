"""Deletes things, lets a gc command loose on them and tells what it said and what was left."""

import json
import subprocess
import sys

from click.testing import CliRunner
from mlflow.cli import gc
from mlflow.entities import ViewType
from mlflow.tracking import MlflowClient

uri, command = sys.argv[1], json.loads(sys.argv[2])
client = MlflowClient(uri)


def collect(*flags):
    """Runs the command that is given, or that of this MLflow; how it ended and its last words."""
    if command:
        ended = subprocess.run(command + list(flags), capture_output=True, text=True)
        return ended.returncode, (ended.stderr or ended.stdout).replace("millrace: ", "").strip()
    ended = CliRunner().invoke(gc, ["--backend-store-uri", uri, "--tracking-uri", uri, *flags])
    return ended.exit_code, str(ended.exception or ended.output).strip()


ids = {}


def make():
    for name in ("kept", "binned"):
        ids[name] = client.create_experiment(name)
        for run_name in ("active", "deleted", "named"):
            run = client.create_run(ids[name], run_name=run_name)
            client.log_param(run.info.run_id, "p", run_name)
            ids["{}/{}".format(name, run_name)] = run.info.run_id
            if run_name != "active":
                client.delete_run(run.info.run_id)
    for name in ("kept", "gone"):
        ids["model/" + name] = client.create_logged_model(ids["kept"], name=name).model_id


def left():
    experiments = client.search_experiments(view_type=ViewType.ALL)
    names = {e.experiment_id: e.name for e in experiments}
    runs = client.search_runs(list(names), run_view_type=ViewType.ALL)
    models = client.search_logged_models([ids["kept"]])
    return {
        "experiments": sorted([e.name, e.lifecycle_stage] for e in experiments),
        "runs": sorted(
            [names[r.info.experiment_id], r.info.run_name, r.info.lifecycle_stage] for r in runs
        ),
        "models": sorted(m.name for m in models),
    }


def refusals():
    for flags in (
        ["--run-ids", ids["kept/active"]],
        ["--run-ids", "nobody"],
        ["--run-ids", ids["kept/named"], "--older-than", "1d"],
        ["--experiment-ids", ids["kept"]],
        ["--logged-model-ids", ids["model/kept"], "--older-than", "1d"],
        ["--older-than", "soon"],
    ):
        code, said = collect(*flags)
        for name, value in ids.items():
            if len(value) > 10:
                said = said.replace(value, name)
        yield [code, said.replace("'{}'".format(ids["kept"]), "'kept'")]


make()
told = {"refused": list(refusals()), "untouched": left()}
client.delete_experiment(ids["binned"])
client.delete_logged_model(ids["model/gone"])
collect("--older-than", "1d")
told["young"] = left()
collect("--run-ids", ids["kept/named"])
told["named"] = left()
collect()
told["all"] = left()
print("TOLD " + json.dumps(told))
