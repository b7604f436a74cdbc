"""Lab 2: a search for better hyperparameters."""

import boto3

from dep_labs import printed, run_lab
from sm_checks import check, equal, run_checks

sagemaker = boto3.client("sagemaker")


@check("lab 2 finds the job with the smallest error")
def lab_2():
    best = printed(run_lab("2/tune_model.py", "--max-jobs", "2"), "Training job")
    tuner = sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"][0]
    jobs = sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=tuner["HyperParameterTuningJobName"]
    )["TrainingJobSummaries"]
    equal([job["TrainingJobStatus"] for job in jobs], ["Completed", "Completed"])
    errors = {
        job["TrainingJobName"]: job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for job in jobs
    }
    equal(best, min(errors, key=errors.get))


run_checks()
