import { seconds } from '../../operations/resource-names.ts'
import type { CreateTrainingJobInput } from '../../operations/training-job-input.ts'
import type { State } from '../../state/open-state.ts'
import { type Resource, updateResource } from '../../state/resource-store.ts'
import type { InstanceEnd } from '../instance/instance-spec.ts'

export type TrainingJobStatus =
  | 'InProgress'
  | 'Completed'
  | 'Failed'
  | 'Stopping'
  | 'Stopped'
  | 'Deleting'

/** Where a job is, in the words of AWS. */
export type SecondaryStatus =
  | 'Starting'
  | 'Pending'
  | 'DownloadingTrainingImage'
  | 'Downloading'
  | 'Training'
  | 'Uploading'
  | 'Completed'
  | 'Interrupted'
  | 'Restarting'
  | 'Stopping'
  | 'Stopped'
  | 'MaxRuntimeExceeded'
  | 'MaxWaitTimeExceeded'
  | 'Failed'

/** What DescribeTrainingJob answers: the request, and what has become of it. Times in seconds. */
export interface TrainingJobDocument extends Omit<CreateTrainingJobInput, 'Tags'> {
  TrainingJobArn: string
  TrainingJobStatus: TrainingJobStatus
  SecondaryStatus: SecondaryStatus
  SecondaryStatusTransitions: {
    Status: SecondaryStatus
    StartTime: number
    EndTime?: number
    StatusMessage: string
  }[]
  FailureReason?: string
  ModelArtifacts: { S3ModelArtifacts: string }
  CreationTime: number
  TrainingStartTime?: number
  TrainingEndTime?: number
  LastModifiedTime: number
  TrainingTimeInSeconds?: number
  BillableTimeInSeconds?: number
  FinalMetricDataList?: { MetricName: string; Value: number; Timestamp: number }[]
  TuningJobArn?: string
  MlflowDetails?: { MlflowExperimentId: string; MlflowRunId: string }
}

/** How a job is going to end, decided before its outputs are uploaded. */
export interface Outcome {
  status: 'Completed' | 'Failed' | 'Stopped'
  secondary: 'Completed' | 'Failed' | 'Stopped' | 'MaxRuntimeExceeded' | 'MaxWaitTimeExceeded'
  failureReason?: string
}

/** What the runner needs to carry a training job on. */
export interface TrainingProgress {
  phase: 'preparing' | 'ready' | 'training' | 'uploading'
  /** From 0; another one after an interruption or an error of ours. */
  attempt: number
  /** Attempts after errors of ours, of which the client has said how many there may be. */
  retries: number
  /** How long the job has been running in earlier attempts. */
  ranMs: number
  outcome?: Outcome
  /** Faults that a test of a client asks for by tags `millrace:...`. */
  faults: Record<string, string>
  /** What a tuning job wants its trials to be told. */
  mlflow?: { experimentName?: string; parentRunId?: string }
  ends?: InstanceEnd[]
}

export type TrainingJob = Resource<TrainingJobDocument, TrainingProgress>

/** Changes a training job; `change` returns false to leave it as it is. */
export function updateTrainingJob(
  state: State,
  name: string,
  change: (job: TrainingJob) => false | void,
): TrainingJob {
  const job = updateResource<TrainingJobDocument, TrainingProgress>(
    state,
    'training-job',
    name,
    (job) => {
      if (change(job) === false) return false
      job.status = job.document.TrainingJobStatus
      job.document.LastModifiedTime = seconds(Date.now())
    },
  )
  if (!job) throw new Error(`The training job ${name} has been deleted.`)
  return job
}

/** Ends the last transition of a job and begins another one. */
export function moveTo(job: TrainingJob, status: SecondaryStatus, message: string): void {
  const { document } = job
  const now = seconds(Date.now())
  const last = document.SecondaryStatusTransitions.at(-1)
  if (last?.Status === status && last.StatusMessage === message) return
  if (last && last.EndTime === undefined) last.EndTime = now
  const isEnd = /^(Completed|Failed|Stopped|MaxRuntimeExceeded|MaxWaitTimeExceeded)$/.test(status)
  document.SecondaryStatusTransitions.push({
    Status: status,
    StartTime: now,
    ...(isEnd ? { EndTime: now } : {}),
    StatusMessage: message,
  })
  document.SecondaryStatus = status
}

/** Gives a job its last status. */
export function finish(job: TrainingJob, { status, secondary, failureReason }: Outcome): void {
  const { document } = job
  const now = seconds(Date.now())
  moveTo(job, secondary, failureReason ?? END_MESSAGES[secondary])
  document.TrainingJobStatus = status
  if (failureReason !== undefined) document.FailureReason = failureReason
  document.TrainingEndTime = now
  if (document.TrainingStartTime !== undefined) {
    document.TrainingTimeInSeconds = Math.ceil(now - document.TrainingStartTime)
    document.BillableTimeInSeconds = Math.max(1, Math.floor(job.progress.ranMs / 1000))
  }
}

const END_MESSAGES = {
  Completed: 'Training job completed',
  Failed: 'Training job failed',
  Stopped: 'Training job stopped',
  MaxRuntimeExceeded: 'Training job ran longer than its maximum runtime',
  MaxWaitTimeExceeded: 'Training job waited longer than its maximum wait time',
} as const
