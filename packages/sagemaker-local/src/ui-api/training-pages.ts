import { join } from 'node:path'
import type {
  JobList,
  JobMetric,
  JobRow,
  RetryRequest,
  TrainingJobDetails,
} from '@millrace/api/sagemaker-pages'
import type { OperationContext } from '../operations/operation.ts'
import type { MetricPoint } from '../runner/instance/metric-patterns.ts'
import { readMetricPoints } from '../runner/training/job-metrics.ts'
import type { TrainingJob, TrainingJobDocument } from '../runner/training/training-job.ts'
import { type ListInput, listResources } from '../state/list-resources.ts'
import { findResource } from '../state/resource-store.ts'
import { listTags } from '../state/tag-store.ts'
import { callOperation } from './call-operation.ts'
import { noSuch } from './page-error.ts'

/** Points of a metric that a page is given; of more it gets every second, fourth and so on. */
const POINTS_MAX = 1000

export function listTrainingJobs({ state }: OperationContext, input: ListInput): JobList {
  const page = listResources<TrainingJobDocument, object>(state, 'training-job', input)
  return {
    jobs: page.resources.map((job) => rowOf(job)),
    ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }),
  }
}

/**
 * Everything about a training job but its log.
 *
 * @throws PageError when there is none of that name
 */
export async function describeTrainingJob(
  context: OperationContext,
  name: string,
): Promise<TrainingJobDetails> {
  const job = findTrainingJob(context, name)
  const { document } = job
  const directory = join(context.settings.directory, 'jobs', 'training-job', name)
  const { InstanceType, InstanceCount, InstanceGroups } = document.ResourceConfig
  return {
    ...rowOf(job),
    arn: job.arn,
    phases: document.SecondaryStatusTransitions.map((phase) => ({
      name: phase.Status,
      message: phase.StatusMessage,
      startMs: milliseconds(phase.StartTime),
      ...(phase.EndTime === undefined ? {} : { endMs: milliseconds(phase.EndTime) }),
    })),
    hyperParameters: document.HyperParameters ?? {},
    environment: document.Environment ?? {},
    inputs: (document.InputDataConfig ?? []).map(({ ChannelName, DataSource, InputMode }) => ({
      channel: ChannelName,
      uri: DataSource.S3DataSource?.S3Uri ?? '',
      mode: InputMode ?? document.AlgorithmSpecification.TrainingInputMode,
    })),
    outputUri: document.OutputDataConfig.S3OutputPath,
    ...(document.TrainingJobStatus === 'Completed'
      ? { modelUri: document.ModelArtifacts.S3ModelArtifacts }
      : {}),
    instanceType: InstanceType ?? InstanceGroups?.[0]?.InstanceType ?? '',
    instanceCount: InstanceCount ?? 1,
    maxRuntimeSeconds: document.StoppingCondition?.MaxRuntimeInSeconds ?? 0,
    metrics: seriesOf(await readMetricPoints(directory)),
    tags: Object.fromEntries(
      listTags(context.state, job.arn).map(({ Key, Value }) => [Key, Value]),
    ),
  }
}

/** What Describe adds to what a job was made from. */
const ADDED = [
  'TrainingJobArn',
  'TrainingJobStatus',
  'SecondaryStatus',
  'SecondaryStatusTransitions',
  'FailureReason',
  'ModelArtifacts',
  'CreationTime',
  'TrainingStartTime',
  'TrainingEndTime',
  'LastModifiedTime',
  'TrainingTimeInSeconds',
  'BillableTimeInSeconds',
  'FinalMetricDataList',
  'TuningJobArn',
  'MlflowDetails',
] as const satisfies (keyof TrainingJobDocument)[]

/**
 * Makes a job like another one, with what is changed in it.
 *
 * @throws AwsError when the new one is refused, PageError when there is no such job
 */
export async function retryTrainingJob(
  context: OperationContext,
  name: string,
  changes: RetryRequest,
): Promise<{ name: string }> {
  const { document, arn } = findTrainingJob(context, name)
  const input: Record<string, unknown> = { ...document }
  for (const member of ADDED) delete input[member]
  const hyperParameters = { ...(changes.hyperParameters ?? document.HyperParameters) }
  // Script mode is told the name of its job by the SDK.
  if ('sagemaker_job_name' in hyperParameters) {
    hyperParameters['sagemaker_job_name'] = JSON.stringify(changes.name)
  }
  await callOperation(context, 'CreateTrainingJob', {
    ...input,
    TrainingJobName: changes.name,
    HyperParameters: hyperParameters,
    Environment: changes.environment ?? document.Environment ?? {},
    Tags: listTags(context.state, arn),
  })
  return { name: changes.name }
}

function findTrainingJob({ state }: OperationContext, name: string): TrainingJob {
  const job = findResource<TrainingJob['document'], TrainingJob['progress']>(
    state,
    'training-job',
    name,
  )
  if (!job) throw noSuch('training job', name)
  return job
}

function rowOf({
  name,
  createdMs,
  document,
}: Pick<TrainingJob, 'name' | 'createdMs' | 'document'>): JobRow {
  const { TrainingEndTime, MlflowDetails, TuningJobArn, FailureReason } = document
  const { TrainingImage, AlgorithmName } = document.AlgorithmSpecification
  return {
    name,
    status: document.TrainingJobStatus,
    phase: document.SecondaryStatus,
    image: TrainingImage ?? AlgorithmName ?? '',
    createdMs,
    ...(TrainingEndTime === undefined ? {} : { endedMs: milliseconds(TrainingEndTime) }),
    ...(MlflowDetails
      ? {
          run: { experimentId: MlflowDetails.MlflowExperimentId, runId: MlflowDetails.MlflowRunId },
        }
      : {}),
    ...(TuningJobArn === undefined ? {} : { tuningJob: TuningJobArn.split('/').at(-1) ?? '' }),
    ...(FailureReason === undefined ? {} : { failureReason: FailureReason }),
  }
}

function seriesOf(points: readonly MetricPoint[]): JobMetric[] {
  return [...Map.groupBy(points, ({ name }) => name)].map(([name, own]) => {
    const step = Math.ceil(own.length / POINTS_MAX)
    const kept = own.filter((_, index) => index % step === 0 || index === own.length - 1)
    return {
      name,
      timesMs: kept.map(({ timeMs }) => timeMs),
      values: kept.map(({ value }) => value),
    }
  })
}

/** A time of the wire, which is in seconds. */
export function milliseconds(seconds: number): number {
  return Math.round(seconds * 1000)
}
