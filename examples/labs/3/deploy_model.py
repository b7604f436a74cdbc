"""Lab 3: deploy the registered model boston with MLflow's own client, ask it, change it, remove it."""

import argparse
import os

import boto3
import pandas
from mlflow.deployments import get_deploy_client

HERE = os.path.dirname(os.path.abspath(__file__))

parser = argparse.ArgumentParser()
parser.add_argument("--name", default="boston")
parser.add_argument("--model-uri", default="models:/boston/1")
parser.add_argument("--image", default=os.environ.get("MLFLOW_SAGEMAKER_DEPLOY_IMG_URL"))
parser.add_argument("--role", default=os.environ.get("SAGEMAKER_ROLE"))
args = parser.parse_args()

region = boto3.session.Session().region_name
config = {
    "execution_role_arn": args.role,
    "image_url": args.image,
    "instance_type": "ml.m5.xlarge",
    "instance_count": 1,
    "region_name": region,
}
client = get_deploy_client("sagemaker:/{}".format(region))
client.create_deployment(args.name, args.model_uri, flavor="python_function", config=config)

houses = pandas.read_csv(os.path.join(HERE, "..", "data", "housing.csv")).astype(float)
house = houses.drop(columns="price").iloc[[0]]
print("Prediction: {}".format(client.predict(args.name, house).to_json()))
print("Price:      {}".format(houses["price"].iloc[0]))

client.update_deployment(args.name, args.model_uri, flavor="python_function", config=config)
print("Prediction after the update: {}".format(client.predict(args.name, house).to_json()))

client.delete_deployment(args.name, config={"region_name": region})
left = boto3.client("sagemaker", region_name=region).list_endpoints(NameContains=args.name)["Endpoints"]
print("Endpoints left: {}".format([one["EndpointName"] for one in left if one["EndpointName"] == args.name]))
