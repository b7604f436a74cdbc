"""What the analytics of the SageMaker SDK and boto3 see of a training job, as one JSON object.

python analytics_clients.py JOB WHO
"""

import json
import sys
from datetime import datetime, timedelta, timezone

import boto3
from botocore.exceptions import ClientError

job = sys.argv[1]
observed = {}
cloudwatch = boto3.client("cloudwatch")
try:
    import pandas  # the analytics of the SDK are made of its frames
except ImportError:
    pandas = None
if pandas:
    import sagemaker
    from sagemaker.analytics import TrainingJobAnalytics

    session = sagemaker.Session(default_bucket="training")
    frame = TrainingJobAnalytics(job, sagemaker_session=session, period=60).dataframe()
    observed["frame"] = {
        name: round(float(frame[frame.metric_name == name].value.mean()), 6)
        for name in sorted(frame.metric_name.unique())
    }
now = datetime.now(timezone.utc)
own = [{"Name": "who", "Value": "a&b " + sys.argv[2]}, {"Name": "also", "Value": "x"}]
cloudwatch.put_metric_data(
    Namespace="mine",
    MetricData=[
        {"MetricName": "size", "Dimensions": own, "Timestamp": now, "Value": value}
        for value in (1, 2.5, 4)
    ]
    + [{"MetricName": "size", "Dimensions": own, "Timestamp": now, "Values": [10], "Counts": [2]}],
)
span = {"StartTime": now - timedelta(minutes=5), "EndTime": now + timedelta(minutes=5)}
metric = {"Namespace": "mine", "MetricName": "size", "Dimensions": own[::-1]}
[point] = cloudwatch.get_metric_statistics(
    Period=60, Statistics=["Average", "SampleCount", "Maximum"], **metric, **span
)["Datapoints"]
observed["point"] = [point["Average"], point["SampleCount"], point["Maximum"]]
observed["age"] = abs((now - point["Timestamp"]).total_seconds()) <= 60
query = {"Metric": metric, "Period": 60, "Stat": "Sum"}
[result] = cloudwatch.get_metric_data(
    MetricDataQueries=[{"Id": "m1", "MetricStat": query}], **span
)["MetricDataResults"]
observed["data"] = [result["Id"], result["StatusCode"], result["Values"]]
listed = cloudwatch.list_metrics(Namespace="/aws/sagemaker/TrainingJobs")["Metrics"]
observed["listed"] = sorted(found["MetricName"] for found in listed)


def refusal(**arguments):
    try:
        cloudwatch.get_metric_statistics(Statistics=["Sum"], **{**metric, **span, **arguments})
    except ClientError as error:
        return error.response["Error"]["Code"]


observed["refusals"] = [
    refusal(Period=7),
    refusal(Period=60, StartTime=now, EndTime=now),
    refusal(Period=1, StartTime=now - timedelta(hours=1)),
]
print(json.dumps(observed))
