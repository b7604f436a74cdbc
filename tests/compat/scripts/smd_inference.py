"""The handler functions of a served script."""

import json
import os


def model_fn(model_dir):
    with open(os.path.join(model_dir, "factor.json")) as file:
        return json.load(file)["factor"]


def predict_fn(data, model):
    if data.ndim == 1:
        data = data.reshape(1, -1)
    if data.shape[1] != 2:
        raise ValueError("two columns are wanted, not {}".format(data.shape[1]))
    return data.sum(axis=1) * model
