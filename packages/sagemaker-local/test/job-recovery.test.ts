import { rm } from 'node:fs/promises'
import { FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs'
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import {
  CreateHyperParameterTuningJobCommand,
  CreateProcessingJobCommand,
  CreateTransformJobCommand,
  DescribeHyperParameterTuningJobCommand,
  DescribeProcessingJobCommand,
  DescribeTransformJobCommand,
  ListTrainingJobsForHyperParameterTuningJobCommand,
} from '@aws-sdk/client-sagemaker'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type ServingClients, startServing } from './endpoint-images.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'
import { BUCKET, request, trainingClient, until } from './training-client.ts'

// Processes are started, killed and started again, each of which takes its time on a busy machine.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 })

let plane: TestPlane
let training: Awaited<ReturnType<typeof trainingClient>>
let serving: ServingClients

beforeAll(async () => {
  plane = await startTestPlane({ places: 3 })
  training = await trainingClient(plane)
  serving = await startServing(plane)
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
  await rm(`${plane.directory}-image`, { recursive: true, force: true })
})

async function killRunner(): Promise<void> {
  const pid = await until(async () => plane.plane.runner?.pid())
  process.kill(pid, 'SIGKILL')
  await until(async () => {
    const next = plane.plane.runner?.pid()
    return (next !== undefined && next !== pid) || undefined
  })
}

/** What the jobs of a group have printed, a word for each line. */
async function printed(logGroupName: string): Promise<string[]> {
  const { events = [] } = await training.logs
    .send(new FilterLogEventsCommand({ logGroupName }))
    .catch(() => ({ events: [] }))
  return events.map(({ message = '' }) => message)
}

const isOver = (status: string | undefined) => !/InProgress|Stopping/.test(status ?? '')

test('a processing job whose runner is killed runs once, and its output is stored', async () => {
  await training.sagemaker.send(
    new CreateProcessingJobCommand({
      ProcessingJobName: 'clean',
      RoleArn: request('unused', '').RoleArn,
      AppSpecification: {
        ImageUri: 'any/shell:1',
        ContainerEntrypoint: ['/bin/sh', '-c'],
        ContainerArguments: [
          'echo started; sleep 2; echo row >> /opt/ml/processing/rows/a.csv; echo ended',
        ],
      },
      ProcessingOutputConfig: {
        Outputs: [
          {
            OutputName: 'rows',
            S3Output: {
              S3Uri: `s3://${BUCKET}/rows`,
              LocalPath: '/opt/ml/processing/rows',
              S3UploadMode: 'EndOfJob',
            },
          },
        ],
      },
      ProcessingResources: {
        ClusterConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 1 },
      },
    }),
  )
  const group = '/aws/sagemaker/ProcessingJobs'
  await until(async () => (await printed(group)).at(0))

  await killRunner()

  const job = await until(async () => {
    const asked = new DescribeProcessingJobCommand({ ProcessingJobName: 'clean' })
    const found = await training.sagemaker.send(asked)
    return isOver(found.ProcessingJobStatus) ? found : undefined
  })
  expect(job).toMatchObject({ ProcessingJobStatus: 'Completed' })
  expect(await printed(group)).toEqual(['started', 'ended'])
  const { Body } = await training.s3.send(
    new GetObjectCommand({ Bucket: BUCKET, Key: 'rows/a.csv' }),
  )
  expect(await Body?.transformToString()).toBe('row\n')
})

test('a batch transform job whose runner is killed between objects has an answer for each', async () => {
  const names = Array.from({ length: 40 }, (_, index) => `row-${String(index).padStart(2, '0')}`)
  for (const Key of names) {
    const named = { Bucket: 'models', Key: `many/${Key}`, Body: `${Key}\n` }
    await serving.s3.send(new PutObjectCommand(named))
  }
  await serving.createModel('lines', { LINES: '1' })
  await serving.sagemaker.send(
    new CreateTransformJobCommand({
      TransformJobName: 'many',
      ModelName: 'lines',
      TransformInput: {
        DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://models/many' } },
        ContentType: 'text/plain',
      },
      TransformOutput: { S3OutputPath: 's3://models/answers' },
      TransformResources: { InstanceType: 'ml.m5.large', InstanceCount: 1 },
    }),
  )
  const answers = async () => {
    const asked = new ListObjectsV2Command({ Bucket: 'models', Prefix: 'answers/' })
    const { Contents = [] } = await serving.s3.send(asked)
    return Contents.map(({ Key = '' }) => Key)
  }
  await until(async () => (await answers()).at(0))

  await killRunner()

  const job = await until(async () => {
    const asked = new DescribeTransformJobCommand({ TransformJobName: 'many' })
    const found = await serving.sagemaker.send(asked)
    return isOver(found.TransformJobStatus) ? found : undefined
  })
  expect(job).toMatchObject({ TransformJobStatus: 'Completed' })
  expect(await answers()).toEqual(names.map((name) => `answers/${name}.out`))
  const { Body } = await serving.s3.send(
    new GetObjectCommand({ Bucket: 'models', Key: 'answers/row-07.out' }),
  )
  expect(await Body?.transformToString()).toBe('ROW-07 of 1')
  const served = await printed('/aws/sagemaker/TransformJobs')
  expect(served.filter((line) => line === 'serve begins')).toHaveLength(1)
})

test('a tuning job whose runner is killed makes as many trials as it may, each of them once', async () => {
  const image = await training.image(
    '#!/bin/sh\necho started\nsleep 0.5\necho loss=1.0\necho ended\n',
  )
  const { RoleArn, OutputDataConfig, ResourceConfig, StoppingCondition } = request('unused', image)
  await training.sagemaker.send(
    new CreateHyperParameterTuningJobCommand({
      HyperParameterTuningJobName: 'tuned',
      HyperParameterTuningJobConfig: {
        Strategy: 'Random',
        ResourceLimits: { MaxNumberOfTrainingJobs: 4, MaxParallelTrainingJobs: 2 },
        HyperParameterTuningJobObjective: { Type: 'Minimize', MetricName: 'loss' },
        ParameterRanges: {
          ContinuousParameterRanges: [{ Name: 'rate', MinValue: '0', MaxValue: '1' }],
        },
      },
      TrainingJobDefinition: {
        AlgorithmSpecification: {
          TrainingImage: image,
          TrainingInputMode: 'File',
          MetricDefinitions: [{ Name: 'loss', Regex: 'loss=([0-9.]+)' }],
        },
        RoleArn,
        OutputDataConfig,
        ResourceConfig,
        StoppingCondition,
      },
    }),
  )
  const HyperParameterTuningJobName = 'tuned'
  const group = '/aws/sagemaker/TrainingJobs'

  for (const seen of [1, 3]) {
    await until(async () => {
      const begun = (await printed(group)).filter((line) => line === 'started')
      return begun.length >= seen || undefined
    })
    await killRunner()
  }

  const job = await until(async () => {
    const asked = new DescribeHyperParameterTuningJobCommand({ HyperParameterTuningJobName })
    const found = await training.sagemaker.send(asked)
    return isOver(found.HyperParameterTuningJobStatus) ? found : undefined
  })
  expect(job).toMatchObject({
    HyperParameterTuningJobStatus: 'Completed',
    TrainingJobStatusCounters: { Completed: 4, InProgress: 0, NonRetryableError: 0, Stopped: 0 },
  })
  const { TrainingJobSummaries = [] } = await training.sagemaker.send(
    new ListTrainingJobsForHyperParameterTuningJobCommand({ HyperParameterTuningJobName }),
  )
  expect(TrainingJobSummaries).toHaveLength(4)
  for (const { TrainingJobName = '' } of TrainingJobSummaries) {
    expect(await training.lines(TrainingJobName)).toEqual([['started', 'loss=1.0', 'ended']])
  }
})
