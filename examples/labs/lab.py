"""What labs 1 and 2 share: the session, the role, the data and the estimator."""

import csv
import os

import sagemaker
from sagemaker.sklearn import SKLearn

HERE = os.path.dirname(os.path.abspath(__file__))
METRICS = [{"Name": "median-AE", "Regex": "AE-at-50th-percentile: ([0-9.]+).*$"}]


def role():
    """SAGEMAKER_ROLE, or the role of the notebook or of whoever calls."""
    return os.environ.get("SAGEMAKER_ROLE") or sagemaker.get_execution_role()


def upload(session, folder="housing-data"):
    """Splits the houses, four fifths to train on, and uploads both parts; the URIs by channel."""
    with open(os.path.join(HERE, "data", "housing.csv")) as file:
        header, *houses = csv.reader(file)
    parts = {
        "train": [house for at, house in enumerate(houses) if at % 5 != 0],
        "test": houses[::5],
    }
    channels = {}
    for channel, rows in parts.items():
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, channel + ".csv")
        with open(path, "w", newline="") as file:
            csv.writer(file).writerows([header] + rows)
        channels[channel] = session.upload_data(path, key_prefix="labs/" + channel)
    return channels


def estimator(session, source=None, **hyperparameters):
    """The estimator of both labs, with the train.py of `source/` or of another folder. The tracking
    server is named unless the job is told of it anyway."""
    server = os.environ.get("MLFLOW_TRACKING_URI")
    if server:
        hyperparameters["tracking-uri"] = server
    return SKLearn(
        entry_point="train.py",
        source_dir=source or os.path.join(HERE, "source"),
        role=role(),
        metric_definitions=METRICS,
        hyperparameters={"experiment-name": "housing", **hyperparameters},
        instance_count=1,
        instance_type="ml.m5.large",
        framework_version="1.0-1",
        py_version="py3",
        base_job_name="housing",
        sagemaker_session=session,
    )
