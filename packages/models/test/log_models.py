"""Logs and registers a model as clients of 3.x and of 2.x do, and prints what it is called."""

import json

import mlflow
import mlflow.pyfunc
from mlflow import MlflowClient


class Constant(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return 1


requirements = ["mlflow==" + mlflow.__version__]
with mlflow.start_run() as run:
    logged = mlflow.pyfunc.log_model(
        name="model",
        python_model=Constant(),
        pip_requirements=requirements,
        registered_model_name="constant",
    )
    mlflow.pyfunc.save_model("saved", python_model=Constant(), pip_requirements=requirements)
    mlflow.log_artifacts("saved", "nested/old")
client = MlflowClient()
client.create_model_version("constant", run.info.artifact_uri + "/nested/old", run.info.run_id)
client.set_registered_model_alias("constant", "champion", "1")
client.transition_model_version_stage("constant", "1", "Production")
location = client.get_logged_model(logged.model_id).artifact_location
print(json.dumps({"run": run.info.run_id, "model": logged.model_id, "location": location}))
