import type { CreateProcessingJobInput } from '../operations/processing-job-input.ts'
import { seconds } from '../operations/resource-names.ts'
import type { State } from '../state/open-state.ts'
import { findResource, type Resource, updateResource } from '../state/resource-store.ts'

/** Where CloudWatch has the logs of processing jobs. */
export const PROCESSING_LOG_GROUP = '/aws/sagemaker/ProcessingJobs'

export const PROCESSING_STATUSES = [
  'InProgress',
  'Completed',
  'Failed',
  'Stopping',
  'Stopped',
] as const

/** What DescribeProcessingJob answers. Times in seconds. */
export interface ProcessingJobDocument extends Omit<CreateProcessingJobInput, 'Tags'> {
  ProcessingJobArn: string
  ProcessingJobStatus: (typeof PROCESSING_STATUSES)[number]
  CreationTime: number
  LastModifiedTime: number
  ProcessingStartTime?: number
  ProcessingEndTime?: number
  /** What the job has left in /opt/ml/output/message. */
  ExitMessage?: string
  FailureReason?: string
}

/** What the runner needs to carry a processing job on. */
export interface ProcessingProgress {
  /** Whether the folders of the instances are made. */
  isPrepared: boolean
  deadlineMs?: number
}

export type ProcessingJob = Resource<ProcessingJobDocument, ProcessingProgress>

export function findProcessingJob(state: State, name: string): ProcessingJob | undefined {
  return findResource<ProcessingJobDocument, ProcessingProgress>(state, 'processing-job', name)
}

/** Changes a processing job; `change` returns false to leave it as it is. */
export function updateProcessingJob(
  state: State,
  name: string,
  change: (job: ProcessingJob) => false | void,
): void {
  updateResource<ProcessingJobDocument, ProcessingProgress>(
    state,
    'processing-job',
    name,
    (job) => {
      if (change(job) === false) return false
      job.status = job.document.ProcessingJobStatus
      job.document.LastModifiedTime = seconds(Date.now())
    },
  )
}

/** Gives a job its last status. */
export function finishProcessing(
  state: State,
  name: string,
  status: 'Completed' | 'Failed' | 'Stopped',
  told: { FailureReason?: string; ExitMessage?: string } = {},
): void {
  updateProcessingJob(state, name, ({ document }) => {
    document.ProcessingJobStatus = status
    document.ProcessingEndTime = seconds(Date.now())
    Object.assign(document, told)
  })
}

export function isProcessing({ document }: ProcessingJob): boolean {
  return ['InProgress', 'Stopping'].includes(document.ProcessingJobStatus)
}
