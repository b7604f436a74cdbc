"""Trains with XGBoost as SageMaker's built-in algorithm does, without a script of the client's.

`python xgboost_train.py <folder of the job, /opt/ml>` reads the hyperparameters and the channels `train`
and, if there is one, `validation`, prints `[0]#011train-rmse:0.5#011validation-rmse:0.6` for each round, and
leaves the booster as `model/xgboost-model`. Data is CSV with the label in its first column and no header
(`text/csv`), or libsvm.
"""

import json
import os
import sys

import numpy
import xgboost

ML = sys.argv[1]
# Of the algorithm's container and not of XGBoost.
OWN = {"num_round", "early_stopping_rounds", "csv_weights", "save_model_on_termination"}
PLATFORM = ("sagemaker_", "_tuning")


class ClientError(Exception):
    """Something that the client has to change."""


def read_config(name):
    with open(os.path.join(ML, "input", "config", name)) as file:
        return json.load(file)


def decode(text):
    """A hyperparameter: a number where it is one, as JSON or as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def files_below(folder):
    found = []
    for path, _, names in os.walk(folder):
        found += [os.path.join(path, name) for name in names if not name.startswith(".")]
    return sorted(found)


def read_channel(name, content_type, has_weights):
    folder = os.path.join(ML, "input", "data", name)
    files = files_below(folder)
    if not files:
        raise ClientError("The channel {} has no files.".format(name))
    kind = (content_type or "text/libsvm").split(";")[0].strip().lower()
    if kind in ("text/csv", "csv"):
        try:
            tables = [numpy.genfromtxt(file, delimiter=",", ndmin=2) for file in files]
            table = numpy.concatenate(tables)
        except ValueError as error:
            raise ClientError("The CSV of the channel {} cannot be read: {}".format(name, error))
        if table.shape[1] < 2 or numpy.isnan(table[:, 0]).any():
            raise ClientError(
                "The CSV of the channel {} has to have numbers, the label in its first column, and no "
                "header.".format(name)
            )
        if has_weights:
            return xgboost.DMatrix(table[:, 2:], label=table[:, 0], weight=table[:, 1])
        return xgboost.DMatrix(table[:, 1:], label=table[:, 0])
    if kind in ("text/libsvm", "libsvm", "text/x-libsvm"):
        from sklearn.datasets import load_svmlight_files
        from scipy.sparse import vstack

        try:
            parts = load_svmlight_files(files, zero_based=True)
        except ValueError as error:
            raise ClientError(
                "The libsvm file of the channel {} cannot be read: {}. Data of another form needs a "
                "content type, text/csv.".format(name, error)
            )
        labels = numpy.concatenate(parts[1::2])
        return xgboost.DMatrix(vstack(parts[0::2]).tocsr(), label=labels)
    raise ClientError(
        "The content type {} of the channel {} is not served here: text/csv and text/libsvm are.".format(
            content_type, name
        )
    )


class Progress(xgboost.callback.TrainingCallback):
    """Prints the line of each round in the form that metric definitions of AWS look for."""

    def after_iteration(self, model, epoch, evals_log):
        values = "".join(
            "#011{}-{}:{:.5f}".format(data, metric, history[-1])
            for data, metrics in evals_log.items()
            for metric, history in metrics.items()
        )
        print("[{}]{}".format(epoch, values), flush=True)
        return False


def train():
    hyperparameters = {name: decode(text) for name, text in read_config("hyperparameters.json").items()}
    channels = read_config("inputdataconfig.json")
    if "num_round" not in hyperparameters:
        raise ClientError("The hyperparameter num_round is required.")
    if "train" not in channels:
        raise ClientError("The channel train is required.")
    parameters = {
        name: value
        for name, value in hyperparameters.items()
        if name not in OWN and not name.startswith(PLATFORM)
    }
    if isinstance(parameters.get("eval_metric"), str):
        parameters["eval_metric"] = [part.strip() for part in parameters["eval_metric"].split(",")]
    has_weights = hyperparameters.get("csv_weights") == 1
    data = {
        name: read_channel(name, channels[name].get("ContentType"), has_weights)
        for name in ("train", "validation")
        if name in channels
    }
    stop = hyperparameters.get("early_stopping_rounds")
    try:
        booster = xgboost.train(
            parameters,
            data["train"],
            num_boost_round=int(hyperparameters["num_round"]),
            evals=[(matrix, name) for name, matrix in data.items()],
            early_stopping_rounds=None if stop is None else int(stop),
            callbacks=[Progress()],
            verbose_eval=False,
        )
    except (xgboost.core.XGBoostError, TypeError, ValueError) as error:
        raise ClientError(str(error).strip().split("\n")[0])
    booster.save_model(os.path.join(ML, "model", "xgboost-model"))


try:
    train()
except ClientError as error:
    with open(os.path.join(ML, "output", "failure"), "w") as file:
        file.write(str(error))
    sys.exit(str(error))
