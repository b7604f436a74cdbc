"""Lab 1: train a model in SageMaker and track it in MLflow."""

import os
import sys

import sagemaker

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from lab import estimator, upload

session = sagemaker.Session()
forest = estimator(
    session,
    **{
        "n-estimators": 100,
        "min-samples-leaf": 3,
        "features": "rooms age distance crime tax",
        "target": "price",
    }
)
forest.fit(upload(session), logs="All")
print("Training job: {}".format(forest.latest_training_job.name))
