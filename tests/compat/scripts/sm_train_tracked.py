"""What a data scientist writes: nothing of it is about SageMaker."""

import argparse
import time

import mlflow

parser = argparse.ArgumentParser()
parser.add_argument("--wait", type=float, default=0)
arguments = parser.parse_args()

mlflow.set_experiment("lab-experiment")
with mlflow.start_run():
    mlflow.log_param("depth", 3)
    mlflow.log_metric("rmse", 0.5)
    time.sleep(arguments.wait)
