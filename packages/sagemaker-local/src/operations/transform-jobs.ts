import { setTimeout as wait } from 'node:timers/promises'
import { ApiError } from '@millrace/api/errors'
import { z } from 'zod'
import { AwsError, invalidRequest } from '../http/aws-error.ts'
import { instanceSize } from '../runner/instance/instance-types.ts'
import { nothingAt } from '../runner/training/download-channel.ts'
import { findBucket } from '../s3/bucket-store.ts'
import { listObjects } from '../s3/object-listing.ts'
import { parseS3Uri } from '../s3/object-transfer.ts'
import { ListInput, listResources } from '../state/list-resources.ts'
import { insertResource } from '../state/resource-store.ts'
import { upsertTags } from '../state/tag-store.ts'
import { enqueueTask } from '../state/task-store.ts'
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
import type { ModelDocument } from './model-input.ts'
import { type OperationContext, operation } from './operation.ts'
import { ResourceName, resourceArn, seconds } from './resource-names.ts'
import { CreateTransformJobInput } from './transform-job-input.ts'

const FAULT_TAG = 'millrace:'
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
    run(context, input) {
      checkTransformJob(context, input)
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
  operation({
    service: 'SageMaker',
    name: 'ListTransformJobs',
    input: ListInput.extend({ StatusEquals: z.enum(TRANSFORM_STATUSES).nullish() }),
    run({ state }, input) {
      const page = listResources<TransformJobDocument, TransformProgress>(
        state,
        'transform-job',
        input,
      )
      return {
        TransformJobSummaries: page.resources.map(({ document, modifiedMs }) => ({
          TransformJobName: document.TransformJobName,
          TransformJobArn: document.TransformJobArn,
          CreationTime: document.CreationTime,
          TransformEndTime: document.TransformEndTime,
          LastModifiedTime: seconds(modifiedMs),
          TransformJobStatus: document.TransformJobStatus,
          FailureReason: document.FailureReason,
        })),
        NextToken: page.nextToken,
      }
    },
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
  const { state } = context
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
  const faults = Tags.filter(({ Key }) => Key.startsWith(FAULT_TAG))
  const progress: TransformProgress = {
    container: model.PrimaryContainer ?? model.Containers?.[0] ?? {},
    servers: Array.from({ length: input.TransformResources.InstanceCount }, () => ({
      port: 0,
      isReady: false,
    })),
    isPrepared: false,
    isMlflow: false,
    done: [],
    faults: Object.fromEntries(
      faults.map(({ Key, Value }) => [Key.slice(FAULT_TAG.length), Value]),
    ),
  }
  state.transaction(() => {
    const isNew = insertResource(state, {
      kind: 'transform-job',
      name,
      arn,
      status: 'InProgress',
      createdMs: nowMs,
      modifiedMs: nowMs,
      document,
      progress,
    })
    if (!isNew) {
      throw new AwsError(
        'ResourceInUse',
        `Job name must be unique within an AWS account and region, and a job with this name already exists (${arn})`,
      )
    }
    upsertTags(state, arn, Tags)
    enqueueTask(state, { kind: 'transform-job', name, places: 1 })
  })
  return arn
}

/** Refuses a job that could not be carried out, before it is one. */
function checkTransformJob(context: OperationContext, input: CreateTransformJobInput): void {
  const { objects } = context
  getResource(context, 'model', input.ModelName)
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
  const inFlight = (input.MaxConcurrentTransforms ?? 0) * (input.MaxPayloadInMB ?? 0)
  if ((input.MaxPayloadInMB ?? 0) > PAYLOADS_MIB_MAX || inFlight > PAYLOADS_MIB_MAX) {
    throw invalidRequest(
      'MaxPayloadInMB, and its product with MaxConcurrentTransforms, may not be greater than ' +
        `${PAYLOADS_MIB_MAX} MB.`,
    )
  }
  try {
    recordProcessing(input.DataProcessing ?? {}, TransformInput.ContentType)
    const { bucket, key } = parseS3Uri(S3Uri)
    const isThere =
      findBucket(objects, bucket) !== undefined &&
      listObjects(objects, { bucket, prefix: key, limit: 1 }).objects.length > 0
    if (!isThere) throw nothingAt(S3Uri)
    const target = parseS3Uri(TransformOutput.S3OutputPath)
    if (findBucket(objects, target.bucket)) return
    throw invalidRequest(
      `The bucket '${target.bucket}' of ${TransformOutput.S3OutputPath} does not exist here: create it first.`,
    )
  } catch (error) {
    if (error instanceof ApiError) throw invalidRequest(error.message)
    throw error
  }
}
