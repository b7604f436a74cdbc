import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { z } from 'zod'
import { AwsError, invalidRequest } from '../http/aws-error.ts'
import { finalMetrics } from '../runner/training/job-metrics.ts'
import { LOG_GROUP } from '../runner/training/log-group.ts'
import {
  moveTo,
  type TrainingJobDocument,
  type TrainingProgress,
  updateTrainingJob,
} from '../runner/training/training-job.ts'
import { deleteLogStreams } from '../state/log-stream-store.ts'
import { deleteResource, findResource } from '../state/resource-store.ts'
import { checkTrainingJob } from './check-training-job.ts'
import { createTrainingJob } from './create-training-job.ts'
import { listOperation } from './list-operation.ts'
import { type OperationContext, operation } from './operation.ts'
import { ResourceName } from './resource-names.ts'
import { CreateTrainingJobInput, UpdateTrainingJobInput } from './training-job-input.ts'

const SHORT_JOB_MS = 8_000
const SHORT_JOB_LOOK_MS = 50

const ByName = z.object({ TrainingJobName: ResourceName() })
const TRAINING_STATUSES = [
  'InProgress',
  'Completed',
  'Failed',
  'Stopping',
  'Stopped',
  'Deleting',
] as const

export const trainingJobOperations = [
  operation({
    service: 'SageMaker',
    name: 'CreateTrainingJob',
    input: CreateTrainingJobInput,
    async run(context, input) {
      await checkTrainingJob(context, input)
      return { TrainingJobArn: createTrainingJob(context, input) }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DescribeTrainingJob',
    input: ByName,
    async run(context, { TrainingJobName }) {
      const { document } = await waitForShortJob(context, TrainingJobName)
      if (document.FinalMetricDataList !== undefined) return document
      const metrics = await finalMetrics(directoryOf(context, TrainingJobName))
      return metrics.length === 0 ? document : { ...document, FinalMetricDataList: metrics }
    },
  }),
  listOperation<TrainingJobDocument>({
    name: 'ListTrainingJobs',
    kind: 'training-job',
    statuses: TRAINING_STATUSES,
    member: 'TrainingJobSummaries',
    summaryOf: ({ document }) => ({
      TrainingJobName: document.TrainingJobName,
      TrainingJobArn: document.TrainingJobArn,
      CreationTime: document.CreationTime,
      TrainingEndTime: document.TrainingEndTime,
      LastModifiedTime: document.LastModifiedTime,
      TrainingJobStatus: document.TrainingJobStatus,
      SecondaryStatus: document.SecondaryStatus,
    }),
  }),
  operation({
    service: 'SageMaker',
    name: 'StopTrainingJob',
    input: ByName,
    run(context, { TrainingJobName }) {
      const { document } = getTrainingJob(context, TrainingJobName)
      if (!isRunning(document)) {
        throw invalidRequest(
          'The request was rejected because the training job is in status ' +
            `${document.TrainingJobStatus}.`,
        )
      }
      updateTrainingJob(context.state, TrainingJobName, (job) => {
        if (job.document.TrainingJobStatus !== 'InProgress') return false
        job.document.TrainingJobStatus = 'Stopping'
        moveTo(job, 'Stopping', 'Stopping the training job')
      })
      return undefined
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'UpdateTrainingJob',
    input: UpdateTrainingJobInput,
    run(context, { TrainingJobName, ResourceConfig, ...changes }) {
      const { document, arn } = getTrainingJob(context, TrainingJobName)
      if (document.TrainingJobStatus !== 'InProgress') {
        throw invalidRequest(
          `The training job ${TrainingJobName} is ${document.TrainingJobStatus}: what can be updated is a ` +
            'job that runs. Its warm pool, which ResourceConfig is about, is not kept here.',
        )
      }
      updateTrainingJob(context.state, TrainingJobName, (job) => {
        Object.assign(job.document, changes)
        Object.assign(job.document.ResourceConfig, ResourceConfig)
      })
      return { TrainingJobArn: arn }
    },
  }),
  operation({
    service: 'SageMaker',
    name: 'DeleteTrainingJob',
    input: ByName,
    run(context, { TrainingJobName }) {
      const { document } = getTrainingJob(context, TrainingJobName)
      if (isRunning(document)) {
        throw new AwsError(
          'ResourceInUse',
          `The training job ${TrainingJobName} is ${document.TrainingJobStatus}: stop it, and delete it when it has ended.`,
        )
      }
      deleteResource(context.state, 'training-job', TrainingJobName)
      deleteLogStreams(context.state, LOG_GROUP, `${TrainingJobName}/`)
      rmSync(directoryOf(context, TrainingJobName), { recursive: true, force: true })
      return undefined
    },
  }),
]

/**
 * The SageMaker SDK looks at a job at once, and when it has not ended then it sleeps for tens of
 * seconds between looks. So its first look may take as long as a short job does.
 */
async function waitForShortJob(context: OperationContext, name: string) {
  for (;;) {
    const job = getTrainingJob(context, name)
    const ageMs = Date.now() - job.createdMs
    const isSdk = context.userAgent.includes('AWS-SageMaker-Python-SDK/')
    if (!isSdk || !isRunning(job.document) || ageMs > SHORT_JOB_MS) return job
    await wait(SHORT_JOB_LOOK_MS)
  }
}

function getTrainingJob({ state }: OperationContext, name: string) {
  const job = findResource<TrainingJobDocument, TrainingProgress>(state, 'training-job', name)
  if (!job) throw invalidRequest('Requested resource not found.')
  return job
}

function isRunning({ TrainingJobStatus }: TrainingJobDocument): boolean {
  return TrainingJobStatus === 'InProgress' || TrainingJobStatus === 'Stopping'
}

function directoryOf({ settings }: OperationContext, name: string): string {
  return join(settings.directory, 'jobs', 'training-job', name)
}
