"""A trial that tracks its run and logs a model, and says nothing of jobs."""

import argparse

import mlflow
import pandas
from mlflow.models import infer_signature
from sklearn.dummy import DummyRegressor

parser = argparse.ArgumentParser()
parser.add_argument("--answer", type=int)
given = parser.parse_args()
rows = pandas.DataFrame({"rooms": [1.0, 2.0]})
with mlflow.start_run():
    mlflow.log_param("answer", given.answer)
    mlflow.log_metric("error", abs(given.answer - 42))
    mlflow.sklearn.log_model(
        DummyRegressor(strategy="constant", constant=given.answer).fit(rows, [0, 1]),
        name="model",
        signature=infer_signature(rows),
        pip_requirements=["mlflow", "scikit-learn"],
    )
print("error: {:.1f}".format(abs(given.answer - 42)))
