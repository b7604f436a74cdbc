import { rm } from 'node:fs/promises'
import { constants } from 'node:os'
import { gzipSync } from 'node:zlib'
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3'
import {
  CreateTransformJobCommand,
  type CreateTransformJobCommandInput,
  DescribeTransformJobCommand,
  ListTransformJobsCommand,
  StopTransformJobCommand,
} from '@aws-sdk/client-sagemaker'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type ServingClients, startServing } from './endpoint-images.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'

// Processes are started and ended, each of which takes its time on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

let plane: TestPlane
let clients: ServingClients

beforeAll(async () => {
  plane = await startTestPlane({ places: 4 })
  clients = await startServing(plane)
  await clients.createModel('lines', { LINES: '1' })
  await put('in/a/one.txt', 'a\nb\nc\nd\ne\n')
  await put('in/two.txt', 'x\ny\n')
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
  await rm(`${plane.directory}-image`, { recursive: true, force: true })
})

const put = (Key: string, Body: string | Buffer) =>
  clients.s3.send(new PutObjectCommand({ Bucket: 'models', Key, Body }))

type Input = CreateTransformJobCommandInput

const create = (name: string, changes: Partial<Input> = {}, from: object = {}) =>
  clients.sagemaker.send(
    new CreateTransformJobCommand({
      TransformJobName: name,
      ModelName: 'lines',
      TransformInput: {
        DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://models/in' } },
        ContentType: 'text/plain',
        SplitType: 'Line',
        ...from,
      },
      TransformOutput: { S3OutputPath: `s3://models/out/${name}`, AssembleWith: 'Line' },
      TransformResources: { InstanceType: 'ml.m5.large', InstanceCount: 1 },
      ...changes,
    }),
  )

async function ended(TransformJobName: string) {
  for (;;) {
    const job = await clients.sagemaker.send(new DescribeTransformJobCommand({ TransformJobName }))
    if (!/InProgress|Stopping/.test(job.TransformJobStatus ?? '')) return job
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

async function written(name: string): Promise<Record<string, string>> {
  const Prefix = `out/${name}/`
  const { Contents = [] } = await clients.s3.send(
    new ListObjectsV2Command({ Bucket: 'models', Prefix }),
  )
  const found: Record<string, string> = {}
  for (const { Key = '' } of Contents) {
    const { Body } = await clients.s3.send(new GetObjectCommand({ Bucket: 'models', Key }))
    found[Key.slice(Prefix.length)] = (await Body?.transformToString()) ?? ''
  }
  return found
}

describe('a batch transform job', () => {
  test('sends each record alone, some at a time on two instances, and keeps their order', async () => {
    await create('single', {
      BatchStrategy: 'SingleRecord',
      MaxConcurrentTransforms: 3,
      TransformResources: { InstanceType: 'ml.m5.large', InstanceCount: 2 },
    })
    expect(await ended('single')).toMatchObject({
      TransformJobStatus: 'Completed',
      ModelName: 'lines',
    })
    expect(await written('single')).toEqual({
      'a/one.txt.out': 'A of 1\nB of 1\nC of 1\nD of 1\nE of 1\n',
      'two.txt.out': 'X of 1\nY of 1\n',
    })
  })

  test('sends many records together, reads gzip and takes one object for a prefix', async () => {
    await put('zipped/rows.gz', gzipSync('p\nq\nr\n'))
    await create(
      'many',
      {},
      {
        DataSource: {
          S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://models/zipped/rows.gz' },
        },
        CompressionType: 'Gzip',
      },
    )
    await ended('many')
    expect(await written('many')).toEqual({ 'rows.gz.out': 'P of 3\nQ of 3\nR of 3\n' })
  })

  test('fails with what the model said, and leaves nothing of that object', async () => {
    await put('bad/rows.txt', 'fail\n')
    await create(
      'bad',
      {},
      {
        DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://models/bad' } },
      },
    )
    const job = await ended('bad')
    expect(job.TransformJobStatus).toBe('Failed')
    expect(job.FailureReason).toBe(
      'ClientError: The model answered a request with records of s3://models/bad/rows.txt with the status 400: that is no input',
    )
    expect(await written('bad')).toEqual({})
  })

  test('of a model with EnableNetworkIsolation is answered by one that reaches nothing', async () => {
    await put('reach/rows.txt', `reach ${new URL(plane.url).port}`)
    const DataSource = { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://models/reach' } }
    for (const [name, isIsolated] of Object.entries({ joined: false, apart: true })) {
      await clients.createModel(name, {}, { EnableNetworkIsolation: isIsolated })
      await create(name, { ModelName: name }, { DataSource, SplitType: 'None' })
    }
    const found = async (name: string) => {
      expect(await ended(name)).toMatchObject({ TransformJobStatus: 'Completed' })
      return JSON.parse((await written(name))['rows.txt.out'] ?? '') as unknown
    }

    expect(await found('joined')).toEqual({ errno: 0 })
    expect(await found('apart')).toEqual({ errno: constants.errno.ECONNREFUSED })
  })

  test('is stopped while it waits for its model', async () => {
    await clients.createModel('deaf', { LISTEN: 'no' })
    await create('stopped', { ModelName: 'deaf' })
    await clients.sagemaker.send(new StopTransformJobCommand({ TransformJobName: 'stopped' }))
    expect(await ended('stopped')).toMatchObject({ TransformJobStatus: 'Stopped' })
    const listed = await clients.sagemaker.send(
      new ListTransformJobsCommand({ NameContains: 'stop', StatusEquals: 'Stopped' }),
    )
    expect(listed.TransformJobSummaries).toMatchObject([{ TransformJobName: 'stopped' }])
    await expect(
      clients.sagemaker.send(new StopTransformJobCommand({ TransformJobName: 'stopped' })),
    ).rejects.toThrow('the transform job is in status Stopped')
  })
})

test.each<[string, Partial<Input>, object, string]>([
  ['a model that is not there', { ModelName: 'none' }, {}, 'Could not find model "arn:aws:'],
  [
    'input that is not there',
    {},
    { DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://models/nothing' } } },
    'No S3 objects found under S3 URL "s3://models/nothing"',
  ],
  [
    'a bucket that is not there',
    { TransformOutput: { S3OutputPath: 's3://nowhere/out' } },
    {},
    "The bucket 'nowhere' of s3://nowhere/out does not exist here",
  ],
  [
    'a filter that cannot be read',
    { DataProcessing: { InputFilter: 'id' } },
    {},
    "The filter 'id' cannot be read",
  ],
  [
    'too much at a time',
    { MaxPayloadInMB: 20, MaxConcurrentTransforms: 10 },
    {},
    'may not be greater than 100 MB',
  ],
])('a batch transform job with %s is refused', async (_what, changes, from, message) => {
  await expect(create('refused', changes, from)).rejects.toMatchObject({
    name: 'ValidationException',
    message: expect.stringContaining(message),
  })
})
