import type { JobList, JobRow, TransformJobDetails } from '@millrace/api/sagemaker-pages'
import type { OperationContext } from '../operations/operation.ts'
import { type ListInput, listResources } from '../state/list-resources.ts'
import {
  findTransformJob,
  type TransformJob,
  type TransformJobDocument,
  type TransformProgress,
} from '../transform/transform-job.ts'
import { versionOfModel } from './endpoint-pages.ts'
import { noSuch } from './page-error.ts'
import { milliseconds } from './training-pages.ts'

export function listTransformJobs({ state }: OperationContext, input: ListInput): JobList {
  const page = listResources<TransformJobDocument, TransformProgress>(state, 'transform-job', input)
  return {
    jobs: page.resources.map((job) => rowOf(job)),
    ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }),
  }
}

/**
 * Everything about a batch transform job but its log.
 *
 * @throws AwsError that becomes a 404 when there is none of that name
 */
export function describeTransformJob(
  { state }: OperationContext,
  name: string,
): TransformJobDetails {
  const job = findTransformJob(state, name)
  if (!job) throw noSuch('transform job', name)
  const { document } = job
  const version = versionOfModel(state, document.ModelName)
  return {
    ...rowOf(job),
    arn: job.arn,
    modelName: document.ModelName,
    ...(version ? { version } : {}),
    inputs: [{ channel: 'input', uri: document.TransformInput.DataSource.S3DataSource.S3Uri }],
    outputUri: document.TransformOutput.S3OutputPath,
    instanceType: document.TransformResources.InstanceType,
    instanceCount: document.TransformResources.InstanceCount,
  }
}

function rowOf({ name, createdMs, document, progress }: TransformJob): JobRow {
  const { TransformEndTime, FailureReason } = document
  return {
    name,
    status: document.TransformJobStatus,
    image: progress.container.Image ?? '',
    createdMs,
    ...(TransformEndTime === undefined ? {} : { endedMs: milliseconds(TransformEndTime) }),
    ...(FailureReason === undefined ? {} : { failureReason: FailureReason }),
  }
}
