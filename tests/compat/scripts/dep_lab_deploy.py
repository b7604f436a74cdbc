"""Lab 3: the registered model boston at an endpoint, with MLflow's own client."""

import json
import os

import boto3
import mlflow
import pandas
from mlflow.models import infer_signature
from sklearn.linear_model import LinearRegression

from dep_labs import ROOT, printed, run_lab
from sm_checks import State, check, equal, run_checks

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/mlflow-pyfunc:3.17.2"
state = State()


@check("a model is registered as boston")
def register():
    houses = pandas.read_csv(os.path.join(ROOT, "examples", "labs", "data", "housing.csv")).astype(float)
    inputs = houses.drop(columns="price")
    model = LinearRegression().fit(inputs, houses["price"])
    state["expected"] = round(model.predict(inputs.iloc[[0]])[0], 6)
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(inputs, model.predict(inputs)),
            pip_requirements=["mlflow", "scikit-learn"],
            registered_model_name="boston",
        )


@check("lab 3 deploys it, asks it before and after an update, and leaves nothing")
def lab_3():
    output = run_lab("3/deploy_model.py", "--image", IMAGE)
    for label in ("Prediction", "Prediction after the update"):
        (price,) = json.loads(printed(output, label))["predictions"]
        equal(round(price, 6), state["expected"])
    equal(printed(output, "Endpoints left"), "[]")
    equal(boto3.client("sagemaker").list_models()["Models"], [])


run_checks()
