"""What a stock client does of a working day: MLflow's SageMaker client, or the SageMaker SDK."""

import sys

which, image, role, model, data = sys.argv[1:]


def with_mlflow():
    import mlflow.sagemaker
    from mlflow.deployments import get_deploy_client

    client = get_deploy_client("sagemaker:/us-east-1")
    config = {"image_url": image, "execution_role_arn": role, "instance_type": "ml.m5.large"}
    client.create_deployment("mlflow-stock", model, config={**config, "tags": {"team": "blue"}})
    client.update_deployment("mlflow-stock", model, config={**config, "mode": "add"})
    client.list_deployments()
    client.get_deployment("mlflow-stock")
    client.predict("mlflow-stock", [[1.0]])
    client.delete_deployment("mlflow-stock", config={"archive": True})
    mlflow.sagemaker.push_model_to_sagemaker(
        "mlflow-pushed", model, execution_role_arn=role, image_url=image, region_name="us-east-1"
    )


def with_sdk():
    import sagemaker
    from sagemaker.estimator import Estimator
    from sagemaker.parameter import ContinuousParameter
    from sagemaker.tuner import HyperparameterTuner

    # Without a bucket the SDK asks AWS itself who is calling, whatever the endpoint is.
    session = sagemaker.Session(default_bucket="sagemaker-us-east-1-123456789012")
    inputs = session.upload_data(data, key_prefix="mlflow/data")
    place = {"instance_count": 1, "instance_type": "ml.m5.large", "sagemaker_session": session}
    estimator = Estimator(
        image,
        role,
        base_job_name="mlflow-sdk",
        metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        tags=[{"Key": "team", "Value": "blue"}],
        **place
    )
    estimator.fit({"train": inputs})
    Estimator.attach(estimator.latest_training_job.name, sagemaker_session=session)
    tuner = HyperparameterTuner(
        estimator,
        "loss",
        {"rate": ContinuousParameter(0.1, 1.0)},
        estimator.metric_definitions,
        objective_type="Minimize",
        max_jobs=1,
        base_tuning_job_name="mlflow-tuner",
    )
    tuner.fit({"train": inputs}, wait=False)
    tuner.describe()
    tuner.stop_tuning_job()
    predictor = estimator.deploy(1, "ml.m5.large", endpoint_name="mlflow-sdk", model_name="mlflow-sdk")
    predictor.predict(b"[]")
    predictor.update_endpoint(initial_instance_count=1, instance_type="ml.m5.large", model_name="mlflow-sdk")
    predictor.delete_model()
    predictor.delete_endpoint()
    transformer = estimator.transformer(1, "ml.m5.large", output_path="s3://{}/mlflow/out".format(session.default_bucket()))
    transformer.transform(inputs, content_type="text/csv", wait=False)
    transformer.stop_transform_job(wait=False)
    transformer.delete_model()
    estimator.fit({"train": inputs}, wait=False)
    session.stop_training_job(estimator.latest_training_job.name)


{"mlflow": with_mlflow, "sdk": with_sdk}[which]()
