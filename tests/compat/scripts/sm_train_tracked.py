"""What a data scientist writes: nothing of it is about SageMaker."""

import mlflow

mlflow.set_experiment("lab-experiment")
with mlflow.start_run():
    mlflow.log_param("depth", 3)
    mlflow.log_metric("rmse", 0.5)
