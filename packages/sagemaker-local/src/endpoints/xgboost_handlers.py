"""Handlers for what SageMaker's built-in XGBoost has trained: `script_server.py` serves them.

Rows of features come as CSV or libsvm, without labels. The answer is one score for each row: CSV with
commas between them, in a transform job with ends of lines, or `{"predictions": [{"score": ...}]}` for who
accepts JSON.
"""

import io
import json
import os

import numpy
import xgboost
from script_server import CSV, JSON, Unsupported

LIBSVM = ("text/libsvm", "text/x-libsvm")
JSON_LINES = "application/jsonlines"


def model_fn(model_dir):
    booster = xgboost.Booster()
    booster.load_model(os.path.join(model_dir, "xgboost-model"))
    return booster


def read_rows(body, content_type, features):
    kind = content_type.split(";")[0].strip().lower()
    if kind not in (CSV,) + LIBSVM:
        raise Unsupported(
            415, "Content type {} is not supported: text/csv and text/libsvm are.".format(content_type)
        )
    try:
        if kind == CSV:
            rows = numpy.genfromtxt(io.StringIO(body.decode("utf-8")), delimiter=",", ndmin=2)
            return xgboost.DMatrix(rows)
        return xgboost.DMatrix(sparse_rows(body, features))
    except ValueError as error:
        raise Unsupported(415, "The body is no {}: {}".format(kind, error))


def sparse_rows(body, features):
    """Lines of `index:value`, before which a label may stand."""
    from scipy.sparse import lil_matrix

    lines = body.decode("utf-8").strip().split("\n")
    rows = lil_matrix((len(lines), features))
    for at, line in enumerate(lines):
        for entry in line.split():
            index, colon, value = entry.partition(":")
            if colon == "":
                continue
            if not 0 <= int(index) < features:
                raise ValueError("the model has {} features, none is {}".format(features, index))
            rows[at, int(index)] = float(value)
    return rows.tocsr()


def transform_fn(model, body, content_type, accept):
    rows = read_rows(body, content_type, model.num_features())
    if rows.num_col() != model.num_features():
        raise Unsupported(
            400,
            "Rows have {} features, and the model has {}.".format(rows.num_col(), model.num_features()),
        )
    scores = model.predict(rows, validate_features=False).tolist()
    kind = accept.split(",")[0].split(";")[0].strip()
    if kind == JSON:
        return json.dumps({"predictions": [{"score": score} for score in scores]}), JSON
    if kind == JSON_LINES:
        return "".join(json.dumps({"score": score}) + "\n" for score in scores), JSON_LINES
    if os.environ.get("SAGEMAKER_BATCH"):
        return "".join("{}\n".format(score) for score in scores), CSV
    return ",".join(map(str, scores)), CSV
