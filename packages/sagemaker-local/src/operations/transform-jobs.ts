import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { invalidRequest } from '../http/aws-error.ts'
import { instanceSize } from '../runner/instance/instance-types.ts'
import { recordProcessing } from '../transform/process-records.ts'
import {
  findTransformJob,
  isTransformRunning,
  TRANSFORM_STATUSES,
  type TransformJobDocument,
  type TransformProgress,
  updateTransformJob,
} from '../transform/transform-job.ts'
import { getResource } from './absent-resource.ts'
import { checkBucket, checkPrefix, inAwsWords } from './check-storage.ts'
import { faultsOf, insertJob } from './insert-job.ts'
import { listOperation } from './list-operation.ts'
import type { ModelDocument } from './model-input.ts'
import { type OperationContext, operation } from './operation.ts'
import { ResourceName, resourceArn, seconds } from './resource-names.ts'
import { CreateTransformJobInput } from './transform-job-input.ts'

const PAYLOADS_MIB_MAX = 100
/** The SageMaker SDK sleeps between two looks. */
const SDK_WAIT_MS = 15_000
const SDK_LOOK_MS = 50

const ByName = z.object({ TransformJobName: ResourceName() })

export const transformJobOperations = [
  operation({
    service: 'SageMaker',
    name: 'CreateTransformJob',
    input: CreateTransformJobInput,
    async run(context, input) {
      await inAwsWords(() => checkTransformJob(context, input))
      return { TransformJobArn: createTransformJob(context, input) }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DescribeTransformJob',
    input: ByName,
    async run(context, { TransformJobName }) {
      const isSdk = context.userAgent.includes('AWS-SageMaker-Python-SDK/')
      const untilMs = Date.now() + (isSdk ? SDK_WAIT_MS : 0)
      for (;;) {
        const job = getTransformJob(context, TransformJobName)
        if (!isTransformRunning(job) || Date.now() >= untilMs) return job.document
        await wait(SDK_LOOK_MS)
      }
    },
  }),
  listOperation<TransformJobDocument>({
    name: 'ListTransformJobs',
    kind: 'transform-job',
    statuses: TRANSFORM_STATUSES,
    member: 'TransformJobSummaries',
    summaryOf: ({ document, modifiedMs }) => ({
      TransformJobName: document.TransformJobName,
      TransformJobArn: document.TransformJobArn,
      CreationTime: document.CreationTime,
      TransformEndTime: document.TransformEndTime,
      LastModifiedTime: seconds(modifiedMs),
      TransformJobStatus: document.TransformJobStatus,
      FailureReason: document.FailureReason,
    }),
  }),
  operation({
    service: 'SageMaker',
    name: 'StopTransformJob',
    input: ByName,
    run(context, { TransformJobName }) {
      const job = getTransformJob(context, TransformJobName)
      if (!isTransformRunning(job)) {
        throw invalidRequest(
          `The request was rejected because the transform job is in status ${job.document.TransformJobStatus}.`,
        )
      }
      updateTransformJob(context.state, TransformJobName, ({ document }) => {
        if (document.TransformJobStatus !== 'InProgress') return false
        document.TransformJobStatus = 'Stopping'
      })
      return undefined
    },
  }),
]

function getTransformJob({ state }: OperationContext, name: string) {
  const job = findTransformJob(state, name)
  if (!job) throw invalidRequest('Requested resource not found.')
  return job
}

function createTransformJob(
  context: OperationContext,
  { Tags = [], ...input }: CreateTransformJobInput,
): string {
  const name = input.TransformJobName
  const arn = resourceArn(context, 'transform-job', name)
  const model = getResource<ModelDocument, object>(context, 'model', input.ModelName).document
  const nowMs = Date.now()
  const document: TransformJobDocument = {
    ...input,
    TransformJobArn: arn,
    TransformJobStatus: 'InProgress',
    CreationTime: seconds(nowMs),
  }
  const progress: TransformProgress = {
    container: model.PrimaryContainer ?? model.Containers?.[0] ?? {},
    isIsolated: model.EnableNetworkIsolation,
    servers: Array.from({ length: input.TransformResources.InstanceCount }, () => ({
      port: 0,
      isReady: false,
    })),
    isPrepared: false,
    isMlflow: false,
    done: [],
    faults: faultsOf(Tags),
  }
  insertJob(context, {
    kind: 'transform-job',
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
function checkTransformJob(context: OperationContext, input: CreateTransformJobInput): void {
  const { objects } = context
  const { TransformInput, TransformOutput, TransformResources } = input
  const { S3DataType, S3Uri } = TransformInput.DataSource.S3DataSource
  if (S3DataType === 'AugmentedManifestFile') {
    throw invalidRequest(
      'The S3DataType AugmentedManifestFile is not served by this control plane.',
    )
  }
  if (instanceSize(TransformResources.InstanceType) === undefined) {
    throw invalidRequest(
      `1 validation error detected: Value '${TransformResources.InstanceType}' at 'transformResources.instanceType' ` +
        'failed to satisfy constraint: Member must be an instance type such as ml.m5.xlarge',
    )
  }
  getResource(context, 'model', input.ModelName)
  const inFlight = (input.MaxConcurrentTransforms ?? 0) * (input.MaxPayloadInMB ?? 0)
  if ((input.MaxPayloadInMB ?? 0) > PAYLOADS_MIB_MAX || inFlight > PAYLOADS_MIB_MAX) {
    throw invalidRequest(
      'MaxPayloadInMB, and its product with MaxConcurrentTransforms, may not be greater than ' +
        `${PAYLOADS_MIB_MAX} MB.`,
    )
  }
  recordProcessing(input.DataProcessing ?? {}, TransformInput.ContentType)
  checkPrefix(objects, S3Uri)
  checkBucket(objects, TransformOutput.S3OutputPath)
}
