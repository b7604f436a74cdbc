import type { JobList, JobRow, ProcessingJobDetails } from '@millrace/api/sagemaker-pages'
import type { OperationContext } from '../operations/operation.ts'
import {
  findProcessingJob,
  type ProcessingJob,
  type ProcessingJobDocument,
} from '../processing/processing-job.ts'
import { type ListInput, listResources } from '../state/list-resources.ts'
import { noSuch } from './page-error.ts'
import { milliseconds } from './training-pages.ts'

export function listProcessingJobs({ state }: OperationContext, input: ListInput): JobList {
  const page = listResources<ProcessingJobDocument, object>(state, 'processing-job', input)
  return {
    jobs: page.resources.map((job) => rowOf(job)),
    ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }),
  }
}

/**
 * Everything about a processing job but its log.
 *
 * @throws PageError when there is none of that name
 */
export function describeProcessingJob(
  { state }: OperationContext,
  name: string,
): ProcessingJobDetails {
  const job = findProcessingJob(state, name)
  if (!job) throw noSuch('processing job', name)
  const { document } = job
  const { ContainerEntrypoint = [], ContainerArguments = [] } = document.AppSpecification
  const { InstanceType = '', InstanceCount = 1 } = document.ProcessingResources.ClusterConfig
  return {
    ...rowOf(job),
    arn: job.arn,
    command: [...ContainerEntrypoint, ...ContainerArguments],
    environment: document.Environment ?? {},
    inputs: (document.ProcessingInputs ?? []).map(({ InputName, S3Input }) => ({
      channel: InputName,
      uri: S3Input?.S3Uri ?? '',
    })),
    outputs: (document.ProcessingOutputConfig?.Outputs ?? []).map(({ OutputName, S3Output }) => ({
      channel: OutputName,
      uri: S3Output?.S3Uri ?? '',
    })),
    instanceType: InstanceType,
    instanceCount: InstanceCount,
    ...(document.ExitMessage === undefined ? {} : { exitMessage: document.ExitMessage }),
  }
}

function rowOf({
  name,
  createdMs,
  document,
}: Pick<ProcessingJob, 'name' | 'createdMs' | 'document'>): JobRow {
  const { ProcessingEndTime, FailureReason } = document
  return {
    name,
    status: document.ProcessingJobStatus,
    image: document.AppSpecification.ImageUri,
    createdMs,
    ...(ProcessingEndTime === undefined ? {} : { endedMs: milliseconds(ProcessingEndTime) }),
    ...(FailureReason === undefined ? {} : { failureReason: FailureReason }),
  }
}
