/** Where CloudWatch has the logs of training jobs. */
export const LOG_GROUP = '/aws/sagemaker/TrainingJobs'
