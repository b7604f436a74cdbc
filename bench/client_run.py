"""One training run by the stock client, timed: prints the seconds of its parts as JSON."""

import json
import os
import sys
import tempfile
import time

import mlflow

seconds = {}


def timed(name, work):
    start = time.perf_counter()
    work()
    seconds[name] = round(time.perf_counter() - start, 4)


mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("bench-client")
client = mlflow.MlflowClient()

with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
    path = os.path.join(folder, "data.bin")
    with open(path, "wb") as file:
        file.write(os.urandom(1 << 20))
    now = int(time.time() * 1000)
    points = [
        mlflow.entities.Metric(f"m{i % 100}", i / 7, now, i // 100) for i in range(1000)
    ]

    def log_params():
        for i in range(10):
            mlflow.log_param(f"p{i}", i)

    def log_metrics():
        for i in range(200):
            mlflow.log_metric("loss", 1 / (i + 1), step=i)

    timed("10 log_param", log_params)
    timed("200 log_metric", log_metrics)
    timed("log_batch of 1000", lambda: client.log_batch(run.info.run_id, metrics=points))
    timed("1 MiB artifact", lambda: mlflow.log_artifact(path))

print(json.dumps(seconds))
