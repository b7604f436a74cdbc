import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { invalidRequest } from '../http/aws-error.ts'
import { needsEntrypoint } from '../processing/prepare-processing.ts'
import {
  findProcessingJob,
  isProcessing,
  PROCESSING_STATUSES,
  type ProcessingJobDocument,
  type ProcessingProgress,
  updateProcessingJob,
} from '../processing/processing-job.ts'
import { resolveImage } from '../runner/images/resolve-image.ts'
import { instanceSize } from '../runner/instance/instance-types.ts'
import { checkBucket, checkPrefix, inAwsWords } from './check-storage.ts'
import { insertJob } from './insert-job.ts'
import { listOperation } from './list-operation.ts'
import { type OperationContext, operation } from './operation.ts'
import { CreateProcessingJobInput } from './processing-job-input.ts'
import { ResourceName, resourceArn, seconds } from './resource-names.ts'

/** The SageMaker SDK sleeps between two looks. */
const SDK_WAIT_MS = 8_000
const SDK_LOOK_MS = 50

const ByName = z.object({ ProcessingJobName: ResourceName() })

export const processingJobOperations = [
  operation({
    service: 'SageMaker',
    name: 'CreateProcessingJob',
    input: CreateProcessingJobInput,
    async run(context, input) {
      await inAwsWords(() => checkProcessingJob(context, input))
      return { ProcessingJobArn: createProcessingJob(context, input) }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DescribeProcessingJob',
    input: ByName,
    async run(context, { ProcessingJobName }) {
      const isSdk = context.userAgent.includes('AWS-SageMaker-Python-SDK/')
      for (;;) {
        const job = getProcessingJob(context, ProcessingJobName)
        const isYoung = Date.now() - job.createdMs < SDK_WAIT_MS
        if (!isSdk || !isProcessing(job) || !isYoung) return job.document
        await wait(SDK_LOOK_MS)
      }
    },
  }),
  listOperation<ProcessingJobDocument>({
    name: 'ListProcessingJobs',
    kind: 'processing-job',
    statuses: PROCESSING_STATUSES,
    member: 'ProcessingJobSummaries',
    summaryOf: ({ document }) => ({
      ProcessingJobName: document.ProcessingJobName,
      ProcessingJobArn: document.ProcessingJobArn,
      CreationTime: document.CreationTime,
      ProcessingEndTime: document.ProcessingEndTime,
      LastModifiedTime: document.LastModifiedTime,
      ProcessingJobStatus: document.ProcessingJobStatus,
      FailureReason: document.FailureReason,
      ExitMessage: document.ExitMessage,
    }),
  }),
  operation({
    service: 'SageMaker',
    name: 'StopProcessingJob',
    input: ByName,
    run(context, { ProcessingJobName }) {
      const job = getProcessingJob(context, ProcessingJobName)
      if (!isProcessing(job)) {
        throw invalidRequest(
          `The request was rejected because the processing job is in status ${job.document.ProcessingJobStatus}.`,
        )
      }
      updateProcessingJob(context.state, ProcessingJobName, ({ document }) => {
        if (document.ProcessingJobStatus !== 'InProgress') return false
        document.ProcessingJobStatus = 'Stopping'
      })
      return undefined
    },
  }),
]

function getProcessingJob({ state }: OperationContext, name: string) {
  const job = findProcessingJob(state, name)
  if (!job) throw invalidRequest('Requested resource not found.')
  return job
}

function createProcessingJob(
  context: OperationContext,
  { Tags = [], ...input }: CreateProcessingJobInput,
): string {
  const name = input.ProcessingJobName
  const arn = resourceArn(context, 'processing-job', name)
  const nowMs = Date.now()
  const document: ProcessingJobDocument = {
    ...input,
    ProcessingJobArn: arn,
    ProcessingJobStatus: 'InProgress',
    CreationTime: seconds(nowMs),
    LastModifiedTime: seconds(nowMs),
  }
  const progress: ProcessingProgress = { isPrepared: false }
  insertJob(context, {
    kind: 'processing-job',
    name,
    arn,
    createdMs: nowMs,
    document,
    progress,
    tags: Tags,
    places: 1,
    uniqueNames: 'Job name must be',
    article: 'a job',
  })
  return arn
}

/** Refuses a job that could not be carried out, before it is one. */
async function checkProcessingJob(
  { objects, settings, images }: OperationContext,
  input: CreateProcessingJobInput,
): Promise<void> {
  const { AppSpecification, ProcessingResources } = input
  const { InstanceType } = ProcessingResources.ClusterConfig
  if (InstanceType === undefined || instanceSize(InstanceType) === undefined) {
    throw invalidRequest(
      `1 validation error detected: Value '${InstanceType ?? 'null'}' at ` +
        "'processingResources.clusterConfig.instanceType' failed to satisfy constraint: Member must be an " +
        'instance type such as ml.m5.xlarge',
    )
  }
  const { kind } = await resolveImage({
    image: AppSpecification.ImageUri,
    hasEntrypoint: AppSpecification.ContainerEntrypoint !== undefined,
    imagesFile: settings.imagesFile,
    images,
    program: 'train',
  })
  if (kind !== 'command' && kind !== 'image') throw needsEntrypoint(AppSpecification.ImageUri)
  for (const { InputName, S3Input } of input.ProcessingInputs ?? []) {
    if (S3Input?.S3InputMode === 'Pipe' || S3Input?.LocalPath === undefined) {
      throw invalidRequest(
        `The input ${InputName} has to have an S3Input with a LocalPath and the mode File; dataset ` +
          'definitions and pipes are not served here.',
      )
    }
    checkPrefix(objects, S3Input.S3Uri)
  }
  for (const { OutputName, S3Output } of input.ProcessingOutputConfig?.Outputs ?? []) {
    if (S3Output?.LocalPath === undefined) {
      throw invalidRequest(`The output ${OutputName} has to have an S3Output with a LocalPath.`)
    }
    checkBucket(objects, S3Output.S3Uri)
  }
}
