"""Logs with MLflow's own client from several threads until it is told to stop, and writes what each
call came to as the JSON that `stock-clients.ts` reads. A call that raises is of unknown outcome."""

import hashlib
import json
import os
import random
import sys
import tempfile
import threading
import time
import uuid

from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient


class Ledger:
    def __init__(self):
        self.runs, self.unknown_runs = [], []
        self.versions, self.models = {}, {}
        self.raised, self.acknowledged = {}, 0
        self.lock = threading.Lock()

    def call(self, function, *args, **kwargs):
        """The call's answer and True, or None and False."""
        try:
            answer = function(*args, **kwargs)
        except Exception as error:
            text = str(error)[-160:] if isinstance(error, MlflowException) else repr(error)[:160]
            with self.lock:
                self.raised[text] = self.raised.get(text, 0) + 1
            return None, False
        with self.lock:
            self.acknowledged += 1
        return answer, True


def outcome(ok):
    return "stored" if ok else "unknown"


def log_runs(ledger, client, experiment_id, model, name, stop, writes):
    rng = random.Random(name)
    for number in range(1_000_000):
        if stop.is_set():
            return
        run_name = f"run-{name}-{number}"
        run, ok = ledger.call(client.create_run, experiment_id, run_name=run_name)
        if not ok:
            ledger.unknown_runs.append(run_name)
            continue
        run_id = run.info.run_id
        entry = {"run_id": run_id, "run_name": run_name, "points": [], "batches": []}
        entry |= {"progress": [], "artifacts": [], "finished": None}
        ledger.runs.append(entry)
        for _ in range(writes):
            if stop.is_set():
                break
            write_something(ledger, client, entry, model, rng)
        _, ok = ledger.call(client.set_terminated, run_id)
        entry["finished"] = outcome(ok)


def write_something(ledger, client, entry, model, rng):
    run_id, kind = entry["run_id"], rng.random()
    if kind < 0.4:
        step = len(entry["points"])
        _, ok = ledger.call(client.log_metric, run_id, "loss", step, timestamp=step, step=step)
        entry["points"].append([step, outcome(ok)])
    elif kind < 0.7:
        step = len(entry["batches"])
        metrics = [Metric(key, step, 1, step) for key in "abc"]
        params, tags = [Param(f"param-{step}", str(step))], [RunTag(f"tag-{step}", str(step))]
        _, ok = ledger.call(client.log_batch, run_id, metrics, params, tags)
        entry["batches"].append([step, outcome(ok)])
    elif kind < 0.82:
        value = len(entry["progress"])
        _, ok = ledger.call(client.set_tag, run_id, "progress", str(value))
        entry["progress"].append([value, outcome(ok)])
    elif kind < 0.9:
        upload(ledger, client, entry, rng)
    elif kind < 0.96:
        description = f"version {uuid.uuid4()}"
        version, ok = ledger.call(
            client.create_model_version, model, "s3://bucket/model", description=description
        )
        ledger.versions[description] = version.version if ok else None
    else:
        name = f"model-{uuid.uuid4()}"
        _, ok = ledger.call(client.create_registered_model, name, tags={"by": name})
        ledger.models[name] = outcome(ok)


def upload(ledger, client, entry, rng):
    name = f"{len(entry['artifacts'])}.bin"
    content = rng.randbytes(rng.choice([10, 3000, 200_000]))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(content)
        _, ok = ledger.call(client.log_artifact, entry["run_id"], path, "folder")
    sha256 = hashlib.sha256(content).hexdigest()
    entry["artifacts"].append([f"folder/{name}", [sha256, outcome(ok)]])


def main():
    experiment_id, model, seed, threads, seconds, writes = sys.argv[1:]
    ledger, client, stop = Ledger(), MlflowClient(), threading.Event()
    workers = [
        threading.Thread(
            target=log_runs,
            args=(ledger, client, experiment_id, model, f"{seed}-{n}", stop, int(writes)),
        )
        for n in range(int(threads))
    ]
    for worker in workers:
        worker.start()
    time.sleep(float(seconds))
    stop.set()
    for worker in workers:
        worker.join()
    told = {"runs": ledger.runs, "unknownRuns": ledger.unknown_runs, "raised": ledger.raised}
    told |= {"versions": list(ledger.versions.items()), "models": list(ledger.models.items())}
    print(json.dumps(told | {"acknowledged": ledger.acknowledged}), flush=True)


main()
