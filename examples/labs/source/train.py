"""Trains a forest on houses and logs it to MLflow: what runs in the training job."""

import argparse
import os

import mlflow
import mlflow.sklearn
import numpy
import pandas
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestRegressor


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tracking-uri", default=None)
    parser.add_argument("--experiment-name", default="housing")
    parser.add_argument("--n-estimators", type=int, default=50)
    parser.add_argument("--min-samples-leaf", type=int, default=3)
    parser.add_argument("--features", default="rooms age distance crime tax")
    parser.add_argument("--target", default="price")
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--test", default=os.environ.get("SM_CHANNEL_TEST"))
    return parser.parse_known_args()[0]


def main(args):
    if args.tracking_uri:
        mlflow.set_tracking_uri(args.tracking_uri)
    mlflow.set_experiment(args.experiment_name)
    columns = args.features.split()
    train = pandas.read_csv(os.path.join(args.train, "train.csv"))
    test = pandas.read_csv(os.path.join(args.test, "test.csv"))
    # Whole numbers as fractions: a column of integers could never have a hole in it later.
    train, test = train.astype(float), test.astype(float)
    with mlflow.start_run():
        # By this `millrace sagemaker register-as` finds the run of a job.
        if "TRAINING_JOB_NAME" in os.environ:
            mlflow.set_tag("sagemaker.training_job_name", os.environ["TRAINING_JOB_NAME"])
        mlflow.log_params(
            {
                "n-estimators": args.n_estimators,
                "min-samples-leaf": args.min_samples_leaf,
                "features": args.features,
            }
        )
        model = RandomForestRegressor(
            n_estimators=args.n_estimators, min_samples_leaf=args.min_samples_leaf, random_state=1
        )
        model.fit(train[columns], train[args.target])
        errors = numpy.abs(test[args.target] - model.predict(test[columns]))
        for q in (10, 50, 90):
            error = numpy.percentile(errors, q)
            mlflow.log_metric("AE-at-{}th-percentile".format(q), error)
            print("AE-at-{}th-percentile: {:.4f}".format(q, error), flush=True)
        signature = infer_signature(train[columns], model.predict(train[columns]))
        mlflow.sklearn.log_model(
            model, "model", signature=signature, pip_requirements=["mlflow", "scikit-learn", "pandas"]
        )


if __name__ == "__main__":
    main(arguments())
