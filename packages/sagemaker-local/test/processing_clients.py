"""What the processors of the SageMaker SDK do, as one JSON object.

python processing_clients.py FOLDER
"""

import json
import os
import sys

import boto3
import sagemaker
from botocore.exceptions import ClientError
from sagemaker.processing import ProcessingInput, ProcessingOutput, ScriptProcessor

folder = sys.argv[1]
role = "arn:aws:iam::123456789012:role/anybody"
image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/plain:1"
observed = {}
session = sagemaker.Session(default_bucket="training")
client = boto3.client("sagemaker")

script = os.path.join(folder, "clean.py")
with open(script, "w") as file:
    file.write(
        """import json, os, sys
rows = open('/opt/ml/processing/input/rows.csv').read().split()
kept = [row for row in rows if row != sys.argv[2]]
with open('/opt/ml/processing/clean/rows.csv', 'w') as file:
    file.write('\\\\n'.join(kept))
config = json.load(open('/opt/ml/config/processingjobconfig.json'))
hosts = json.load(open('/opt/ml/config/resourceconfig.json'))
print('kept', len(kept), os.environ['COLOUR'], config['ProcessingJobName'], hosts['current_host'])
open('/opt/ml/output/message', 'w').write('well done')
if sys.argv[1] == '--fail':
    sys.exit('no such column')
""".replace("\\\\n", "\\n")
    )
data = os.path.join(folder, "rows.csv")
with open(data, "w") as file:
    file.write("a\nb\na\nc\n")


def process(name, argument):
    processor = ScriptProcessor(
        image_uri=image,
        command=["python3"],
        role=role,
        instance_count=1,
        instance_type="ml.m5.large",
        env={"COLOUR": "blue"},
        sagemaker_session=session,
    )
    processor.run(
        code=script,
        inputs=[ProcessingInput(source=data, destination="/opt/ml/processing/input")],
        outputs=[ProcessingOutput(output_name="clean", source="/opt/ml/processing/clean")],
        arguments=[argument, "a"],
        job_name=name,
        logs=False,
    )
    return processor


job = process("cleaning", "--drop").jobs[-1]
uri = job.describe()["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
bucket, key = uri[len("s3://") :].split("/", 1)
rows = boto3.client("s3").get_object(Bucket=bucket, Key=key + "/rows.csv")["Body"].read()
observed["rows"] = rows.decode().split()
observed["message"] = job.describe()["ExitMessage"]
logs = boto3.client("logs")
[stream] = logs.describe_log_streams(
    logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix="cleaning/"
)["logStreams"]
events = logs.get_log_events(
    logGroupName="/aws/sagemaker/ProcessingJobs",
    logStreamName=stream["logStreamName"],
    startFromHead=True,
)["events"]
observed["log"] = [event["message"] for event in events if event["message"].startswith("kept")]
try:
    process("failing", "--fail")
except Exception as error:
    observed["failure"] = "no such column" in str(error)
observed["listed"] = sorted(
    [found["ProcessingJobName"], found["ProcessingJobStatus"]]
    for found in client.list_processing_jobs()["ProcessingJobSummaries"]
)
arn = client.describe_processing_job(ProcessingJobName="cleaning")["ProcessingJobArn"]
client.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "blue"}])
observed["tags"] = client.list_tags(ResourceArn=arn)["Tags"]


def refusal(**changes):
    request = {
        "ProcessingJobName": "refused",
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.large",
                "VolumeSizeInGB": 1,
            }
        },
        "AppSpecification": {"ImageUri": image, "ContainerEntrypoint": ["true"]},
        "RoleArn": role,
    }
    try:
        client.create_processing_job(**{**request, **changes})
    except ClientError as error:
        return error.response["Error"]["Code"]


def place(path):
    s3 = {"S3Uri": "s3://training/x", "LocalPath": path, "S3UploadMode": "EndOfJob"}
    return {"Outputs": [{"OutputName": "o", "S3Output": s3}]}


observed["refusals"] = [
    refusal(AppSpecification={"ImageUri": "nobody/knows:1"}),
    refusal(ProcessingOutputConfig=place("/opt/ml/processing/../../etc")),
    refusal(ProcessingOutputConfig=place("/etc")),
    refusal(ProcessingJobName="cleaning"),
]
client.create_processing_job(
    ProcessingJobName="endless",
    ProcessingResources={
        "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    },
    AppSpecification={"ImageUri": image, "ContainerEntrypoint": ["sleep", "600"]},
    RoleArn=role,
)
client.stop_processing_job(ProcessingJobName="endless")
client.get_waiter("processing_job_completed_or_stopped").wait(
    ProcessingJobName="endless", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
)
observed["stopped"] = client.describe_processing_job(ProcessingJobName="endless")[
    "ProcessingJobStatus"
]
# The SDK does not end its line.
print("\n" + json.dumps(observed))
