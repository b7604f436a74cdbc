"""Saves the models that the tests serve: `python make_models.py FOLDER`, with any stock MLflow."""

import os
import sys

import mlflow
import mlflow.pyfunc
import mlflow.sklearn
import numpy as np
import pandas as pd
from mlflow.models.signature import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec
from sklearn.linear_model import LinearRegression

folder = sys.argv[1]
is_old = mlflow.__version__.startswith("1.")
rows = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [2.0, 1.0, 0.0, 5.0]})
target = rows["a"] * 2 + rows["b"]
# Written down, because finding them out takes a process that loads the model.
requirements = ["mlflow==" + mlflow.__version__, "scikit-learn"]
line = LinearRegression().fit(rows, target)


def path(name):
    return os.path.join(folder, name)


def save_line(name, signature=None):
    kind = {} if is_old else {"serialization_format": "cloudpickle"}
    mlflow.sklearn.save_model(
        line, path(name), signature=signature, pip_requirements=requirements, **kind
    )


save_line("signed", infer_signature(rows, target))
if mlflow.__version__.startswith("3."):
    from mlflow.types import ParamSchema, ParamSpec

    class Typed(mlflow.pyfunc.PythonModel):
        """Gives back what it was given, as it understood it."""

        def predict(self, context, model_input, params=None):
            answer = model_input.copy()
            answer["kinds"] = [",".join(str(kind) for kind in model_input.dtypes)] * len(answer)
            answer["params"] = [str(sorted(params.items()))] * len(answer)
            return answer

    columns = [
        ColSpec(DataType.string, "text"),
        ColSpec(DataType.long, "count"),
        ColSpec(DataType.boolean, "flag"),
        ColSpec(DataType.double, "size", required=False),
        ColSpec(DataType.datetime, "when", required=False),
        ColSpec(DataType.binary, "blob", required=False),
    ]
    params = [
        ParamSpec("scale", DataType.double, 1.0),
        ParamSpec("words", DataType.string, ["a"], shape=(-1,)),
    ]
    mlflow.pyfunc.save_model(
        path("typed"),
        python_model=Typed(),
        pip_requirements=requirements,
        signature=ModelSignature(Schema(columns), None, ParamSchema(params)),
    )

    class Actor(mlflow.pyfunc.PythonModel):
        """Does what it is told: a model that misbehaves in every way there is."""

        def predict(self, context, model_input, params=None):
            import ctypes
            import os
            import subprocess
            import time

            words = str(model_input["do"].iloc[0]).split(" ")
            if words[0] == "sleep":
                print("asleep", flush=True)
                time.sleep(float(words[1]))
            elif words[0] == "freeze":
                print("frozen", flush=True)
                # Holds the interpreter: no other thread runs.
                ctypes.PyDLL(None).usleep(int(float(words[1]) * 1e6))
            elif words[0] == "print":
                print("printed by the model", flush=True)
                os.write(1, b"written by the model\n")
            elif words[0] == "die":
                os.kill(os.getpid(), 9)
            elif words[0] == "leave":
                started = subprocess.Popen(["sleep", "600"])
                return {"pid": os.getpid(), "started": started.pid}
            elif words[0] == "object":
                return object()
            elif words[0] == "large":
                return "x" * int(words[1])
            return {"pid": os.getpid()}

    mlflow.pyfunc.save_model(
        path("actor"), python_model=Actor(), pip_requirements=requirements
    )
    save_line("unsigned")

    class Tensor(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return np.asarray(model_input).sum(axis=1)

    mlflow.pyfunc.save_model(
        path("tensor"),
        python_model=Tensor(),
        pip_requirements=requirements,
        signature=ModelSignature(Schema([TensorSpec(np.dtype("float32"), (-1, 2))])),
    )
