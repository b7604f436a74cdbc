"""Makes the small models in the ONNX format beside this file with stock MLflow.

    uv venv ENV && uv pip install --python ENV mlflow==3.17.2 skl2onnx onnx onnxruntime scikit-learn
    ENV/bin/python make_models.py && ENV/bin/python record_answers.py
"""

import os
import shutil

import mlflow.onnx
import numpy as np
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, Schema, TensorSpec
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

HERE = os.path.dirname(os.path.abspath(__file__))
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
random = np.random.default_rng(7)


def save(name, model, *inputs):
    path = os.path.join(HERE, name)
    shutil.rmtree(path, ignore_errors=True)
    signature = ModelSignature(inputs=Schema(list(inputs))) if inputs else None
    mlflow.onnx.save_model(model, path, signature=signature, pip_requirements=["onnx"])
    for file in ("conda.yaml", "python_env.yaml", "requirements.txt"):
        os.remove(os.path.join(path, file))


def column(kind, name=None):
    return ColSpec(kind, name)


def tensor(kind, shape, name=None):
    return TensorSpec(np.dtype(kind), shape, name)


def value(name, kind, *shape):
    return helper.make_tensor_value_info(name, kind, shape)


def graph(nodes, inputs, outputs, weights):
    weights = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    made = helper.make_graph(nodes, "graph", inputs, outputs, weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def order(*shape):
    """Whole numbers and floats in, a float and a truth value out."""
    nodes = [
        helper.make_node("Cast", ["count"], ["number"], to=FLOAT),
        helper.make_node("Mul", ["number", "price"], ["total"]),
        helper.make_node("Greater", ["total", "limit"], ["big"]),
    ]
    inputs = [value("count", INT64, *shape), value("price", FLOAT, *shape)]
    outputs = [value("total", FLOAT, *shape), value("big", BOOL, *shape)]
    return graph(nodes, inputs, outputs, {"limit": np.array(10, dtype=np.float32)})


rows = random.normal(size=(60, 2)).astype(np.float32)
wanted = (rows @ [2, -3] + 0.5).astype(np.float32)
linear = to_onnx(LinearRegression().fit(rows, wanted), rows[:1], target_opset=17)
save("linear", linear)
save("linear-columns", linear, column("double", "a"), column("double", "b"))
save("linear-floats", linear, column("float", "a"), column("float", "b"))
save("linear-places", linear, column("float"), column("float"))
save("linear-tensor", linear, tensor("float32", (-1, 2)))
save("linear-named", linear, tensor("float32", (-1, 2), "X"))

trees = RandomForestClassifier(n_estimators=3, max_depth=3, random_state=3)
trees.fit(rows, (wanted > 0).astype(int) + (wanted > 3))
forest = to_onnx(trees, rows[:1], target_opset=17, options={"zipmap": False})
save("forest", forest)
save("zipmap", to_onnx(trees, rows[:1], target_opset=17))

save("order", order(None))
save("order-columns", order(None), column("long", "count"), column("double", "price"))
save(
    "order-tensors",
    order(None, 1),
    tensor("int64", (-1, 1), "count"),
    tensor("float32", (-1, 1), "price"),
)

# Weights this large go to a file of their own.
weights = random.normal(size=(8, 64)).astype(np.float32)
nodes = [
    helper.make_node("MatMul", ["x", "weights"], ["hidden"]),
    helper.make_node("ReduceMax", ["hidden"], ["y"], axes=[1], keepdims=0),
]
save(
    "outside",
    graph(nodes, [value("x", FLOAT, None, 8)], [value("y", FLOAT, None)], {"weights": weights}),
)
