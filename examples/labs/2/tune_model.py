"""Lab 2: look for the best hyperparameters, two jobs at a time."""

import argparse
import os
import sys

import sagemaker
from sagemaker.tuner import HyperparameterTuner, IntegerParameter

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lab import METRICS, estimator, upload

parser = argparse.ArgumentParser()
parser.add_argument("--max-jobs", type=int, default=20)
parser.add_argument("--source", help="a folder with another train.py")
args = parser.parse_args()

session = sagemaker.Session()
tuner = HyperparameterTuner(
    estimator=estimator(session, args.source, features="rooms age distance crime tax", target="price"),
    objective_metric_name="median-AE",
    hyperparameter_ranges={
        "n-estimators": IntegerParameter(20, 100),
        "min-samples-leaf": IntegerParameter(2, 6),
    },
    metric_definitions=METRICS,
    max_jobs=args.max_jobs,
    max_parallel_jobs=2,
    objective_type="Minimize",
    base_tuning_job_name="housing-tuner",
)
tuner.fit(upload(session))
print("Training job: {}".format(tuner.best_training_job()))
