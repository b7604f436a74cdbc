import type { Container } from '../operations/model-input.ts'
import { seconds } from '../operations/resource-names.ts'
import type { CreateTransformJobInput } from '../operations/transform-job-input.ts'
import type { State } from '../state/open-state.ts'
import { findResource, type Resource, updateResource } from '../state/resource-store.ts'

/** Where CloudWatch has the logs of transform jobs. */
export const TRANSFORM_LOG_GROUP = '/aws/sagemaker/TransformJobs'

export const TRANSFORM_STATUSES = [
  'InProgress',
  'Completed',
  'Failed',
  'Stopping',
  'Stopped',
] as const
export type TransformJobStatus = (typeof TRANSFORM_STATUSES)[number]

/** What DescribeTransformJob answers. Times in seconds. */
export interface TransformJobDocument extends Omit<CreateTransformJobInput, 'Tags'> {
  TransformJobArn: string
  TransformJobStatus: TransformJobStatus
  FailureReason?: string
  CreationTime: number
  TransformStartTime?: number
  TransformEndTime?: number
}

/** What the runner needs to carry a transform job on. */
export interface TransformProgress {
  /** As the model was when the job was made. */
  container: Container
  /** Whether the model is to reach nothing. */
  isIsolated?: boolean
  /** One for each instance. */
  servers: { port: number; isReady: boolean }[]
  /** Whether the servers' folders are made. */
  isPrepared: boolean
  /** Whether the model is served by our scoring server, which wants the header of a CSV file. */
  isMlflow: boolean
  /** Keys of objects whose answers are written. */
  done: string[]
  faults: Record<string, string>
}

export type TransformJob = Resource<TransformJobDocument, TransformProgress>

export function findTransformJob(state: State, name: string): TransformJob | undefined {
  return findResource<TransformJobDocument, TransformProgress>(state, 'transform-job', name)
}

/** Changes a transform job; `change` returns false to leave it as it is. */
export function updateTransformJob(
  state: State,
  name: string,
  change: (job: TransformJob) => false | void,
): void {
  updateResource<TransformJobDocument, TransformProgress>(state, 'transform-job', name, (job) => {
    if (change(job) === false) return false
    job.status = job.document.TransformJobStatus
  })
}

/** Gives a job its last status. */
export function finishTransform(
  state: State,
  name: string,
  status: 'Completed' | 'Failed' | 'Stopped',
  failureReason?: string,
): void {
  updateTransformJob(state, name, ({ document }) => {
    document.TransformJobStatus = status
    document.TransformEndTime = seconds(Date.now())
    if (failureReason !== undefined) document.FailureReason = failureReason
  })
}

export function isTransformRunning({ document }: TransformJob): boolean {
  return ['InProgress', 'Stopping'].includes(document.TransformJobStatus)
}
