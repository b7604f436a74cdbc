import type { TrainingJobDocument, TrainingProgress } from '../runner/training/training-job.ts'
import { modelUri } from '../runner/training/upload-outputs.ts'
import { faultsOf, insertJob } from './insert-job.ts'
import type { OperationContext } from './operation.ts'
import { resourceArn, seconds } from './resource-names.ts'
import type { CreateTrainingJobInput } from './training-job-input.ts'

const DEFAULT_RUNTIME_SECONDS = 86_400

/** What the job of a tuning job has besides. */
export interface TrialOptions {
  tuningJobArn?: string
  mlflow?: { experimentName?: string; parentRunId?: string }
}

/**
 * Makes a training job and hands it to the runner, all at once. The input has been checked
 * (`checkTrainingJob`). Returns its ARN.
 *
 * @throws AwsError ResourceInUse when there is one of that name
 */
export function createTrainingJob(
  context: Pick<OperationContext, 'state' | 'settings' | 'region'>,
  { Tags = [], ...input }: CreateTrainingJobInput,
  trial: TrialOptions = {},
): string {
  const name = input.TrainingJobName
  const arn = resourceArn(context, 'training-job', name)
  const nowMs = Date.now()
  const now = seconds(nowMs)
  const document: TrainingJobDocument = {
    ...input,
    // The SDK reads it whether the client has set it or not.
    OutputDataConfig: { KmsKeyId: '', ...input.OutputDataConfig },
    ResourceConfig: { InstanceCount: 1, ...input.ResourceConfig },
    StoppingCondition: {
      MaxRuntimeInSeconds: DEFAULT_RUNTIME_SECONDS,
      ...input.StoppingCondition,
    },
    TrainingJobArn: arn,
    TrainingJobStatus: 'InProgress',
    SecondaryStatus: 'Starting',
    SecondaryStatusTransitions: [
      { Status: 'Starting', StartTime: now, StatusMessage: 'Preparing the instances for training' },
    ],
    ModelArtifacts: { S3ModelArtifacts: modelUri(input) },
    CreationTime: now,
    LastModifiedTime: now,
    EnableNetworkIsolation: input.EnableNetworkIsolation ?? false,
    EnableManagedSpotTraining: input.EnableManagedSpotTraining ?? false,
    EnableInterContainerTrafficEncryption: input.EnableInterContainerTrafficEncryption ?? false,
    ...(trial.tuningJobArn === undefined ? {} : { TuningJobArn: trial.tuningJobArn }),
  }
  const progress: TrainingProgress = {
    phase: 'preparing',
    attempt: 0,
    retries: 0,
    ranMs: 0,
    faults: faultsOf(Tags),
    ...(trial.mlflow === undefined ? {} : { mlflow: trial.mlflow }),
  }
  insertJob(context, {
    kind: 'training-job',
    name,
    arn,
    createdMs: nowMs,
    document,
    progress,
    tags: Tags,
    places: 1,
    uniqueNames: 'Training job names must be',
    article: 'a training job',
  })
  return arn
}
