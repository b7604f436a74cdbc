"""Writes what the stock scoring server answers to the requests in requests.json, for each model."""

import json
import logging
import os
import warnings

from mlflow.exceptions import MlflowException
from mlflow.pyfunc import load_model
from mlflow.pyfunc.scoring_server import invocations

HERE = os.path.dirname(os.path.abspath(__file__))
REQUESTS_OF = {
    "linear": "two",
    "linear-columns": "two",
    "linear-floats": "two",
    "linear-places": "two",
    "linear-tensor": "two",
    "linear-named": "two",
    "forest": "two",
    "order": "order",
    "order-columns": "order",
    "order-tensors": "order",
    "outside": "outside",
}
warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)


def answer(model, content_type, body):
    try:
        given = invocations(body.encode(), content_type, model, model.metadata.get_input_schema())
        return [given.status, given.response if given.status == 200 else given.mimetype]
    except MlflowException as error:
        return [error.get_http_status_code(), error.error_code]
    except Exception as error:
        return [500, type(error).__name__]


with open(os.path.join(HERE, "requests.json")) as file:
    requests = json.load(file)
answers = {}
for name, kind in REQUESTS_OF.items():
    model = load_model(os.path.join(HERE, name))
    answers[name] = {
        title: answer(model, content_type, body) for title, content_type, body in requests[kind]
    }
with open(os.path.join(HERE, "answers.json"), "w") as file:
    lines = ",\n".join(
        "  %s: {\n%s\n  }"
        % (
            json.dumps(name),
            ",\n".join("    %s: %s" % (json.dumps(t), json.dumps(a)) for t, a in given.items()),
        )
        for name, given in answers.items()
    )
    file.write("{\n%s\n}\n" % lines)
