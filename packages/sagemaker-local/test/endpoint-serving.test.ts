import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import {
  CloudWatchLogsClient,
  DescribeLogStreamsCommand,
  GetLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs'
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import {
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteEndpointCommand,
  DeleteModelCommand,
  DescribeEndpointCommand,
  UpdateEndpointCommand,
  UpdateEndpointWeightsAndCapacitiesCommand,
} from '@aws-sdk/client-sagemaker'
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { ROLE, type ServingClients, startServing } from './endpoint-images.ts'
import { imageLayer, pushImage } from './pushed-images.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'

// Processes are started and ended, each of which takes its time on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

const Told = z.object({
  name: z.string().nullable(),
  body: z.string(),
  pid: z.number(),
  port: z.string(),
  model: z.array(z.string()),
  type: z.string().nullable(),
  accept: z.string().nullable(),
  secret: z.string().nullable(),
})

let plane: TestPlane
let clients: ServingClients

beforeAll(async () => {
  process.env['MILLRACE_TEST_SECRET'] = 'of the plane'
  plane = await startTestPlane()
  clients = await startServing(plane)
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
  await rm(`${plane.directory}-image`, { recursive: true, force: true })
})

async function invoke(
  EndpointName: string,
  Body: string,
  more: { TargetVariant?: string; CustomAttributes?: string } = {},
) {
  const answer = await clients.runtime.send(
    new InvokeEndpointCommand({
      EndpointName,
      Body,
      ContentType: 'text/csv',
      Accept: 'application/json',
      ...more,
    }),
  )
  const told = Told.parse(JSON.parse(Buffer.from(answer.Body).toString()))
  return { ...told, variant: answer.InvokedProductionVariant, attributes: answer.CustomAttributes }
}

/** Resolves when the endpoint is gone. */
async function gone(EndpointName: string): Promise<void> {
  for (;;) {
    try {
      await clients.sagemaker.send(new DescribeEndpointCommand({ EndpointName }))
    } catch (error) {
      expect(String(error)).toContain('Could not find endpoint "arn:aws:sagemaker:us-east-1:')
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** What a function gives once it no longer throws. */
async function eventually<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (const untilMs = Date.now() + 90_000; ; ) {
    try {
      return await attempt()
    } catch (error) {
      if (Date.now() > untilMs) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function isListening(port: string): boolean {
  const listening = readFileSync('/proc/net/tcp', 'utf8')
  const wanted = `0100007F:${Number(port).toString(16).toUpperCase().padStart(4, '0')}`
  return listening
    .split('\n')
    .some((line) => line.trim().split(/\s+/)[1] === wanted && line.includes(' 0A '))
}

describe('an endpoint', () => {
  test('answers with the model, its variables and what the client sent, and is gone when deleted', async () => {
    await clients.createModel('first', { NAME: 'one' })
    await clients.createConfig('first', [{ ModelName: 'first' }])
    await clients.createEndpoint('first', 'first')

    const early = invoke('first', '1,2')
    await expect(early).rejects.toMatchObject({ name: 'ValidationError' })
    await expect(early).rejects.toThrow(/it is Creating.*wait with the waiter/)
    await expect(
      clients.sagemaker.send(new DeleteModelCommand({ ModelName: 'first' })),
    ).rejects.toThrow(/Cannot delete model .* is Creating with it/)
    await expect(
      clients.sagemaker.send(new DeleteEndpointCommand({ EndpointName: 'first' })),
    ).rejects.toThrow('Cannot update in-progress endpoint "arn:aws:sagemaker:us-east-1:')
    expect(await clients.settled('first')).toMatchObject({ status: 'InService', config: 'first' })
    const answer = await invoke('first', '1,2', { CustomAttributes: 'trace=7' })

    expect(answer).toMatchObject({
      name: 'one',
      body: '1,2',
      model: ['weights.txt'],
      type: 'text/csv',
      accept: 'application/json',
      secret: null,
      variant: 'AllTraffic',
      attributes: 'trace=7',
    })
    expect(isListening(answer.port)).toBe(true)
    await clients.sagemaker.send(new DeleteEndpointCommand({ EndpointName: 'first' }))
    await gone('first')
    expect(isListening(answer.port)).toBe(false)
    await expect(invoke('first', '1')).rejects.toThrow(
      'Endpoint first of account 123456789012 not found.',
    )
  })

  test('tells what a model says, refuses too much, and starts a server again that has ended', async () => {
    await clients.createModel('ills')
    await clients.createConfig('ills', [{ ModelName: 'ills' }])
    await clients.createEndpoint('ills', 'ills')
    await clients.settled('ills')
    const before = await invoke('ills', '1')

    await expect(invoke('ills', 'fail')).rejects.toMatchObject({
      name: 'ModelError',
      OriginalStatusCode: 400,
      OriginalMessage: 'that is no input',
      LogStreamArn: expect.stringContaining(':log-group:/aws/sagemaker/Endpoints/ills:log-stream:'),
      message: expect.stringContaining(
        'Received client error (400) from primary with message "that is no input"',
      ),
      $metadata: { httpStatusCode: 424 },
    })
    await expect(invoke('ills', 'x'.repeat(6_291_457))).rejects.toMatchObject({
      name: 'ValidationError',
      message: expect.stringContaining('Member must have length less than or equal to 6291456'),
    })
    await expect(invoke('ills', '1', { TargetVariant: 'Other' })).rejects.toThrow(
      "Variant 'Other' not found for Request: the endpoint has AllTraffic.",
    )
    await expect(invoke('ills', 'exit')).rejects.toMatchObject({ name: 'ModelError' })

    const after = await eventually(() => invoke('ills', '1'))
    expect(after.port).not.toBe(before.port)
    const logs = new CloudWatchLogsClient(plane.client)
    const logGroupName = '/aws/sagemaker/Endpoints/ills'
    const { logStreams = [] } = await logs.send(new DescribeLogStreamsCommand({ logGroupName }))
    const { events = [] } = await logs.send(
      new GetLogEventsCommand({
        logGroupName,
        logStreamName: logStreams[0]?.logStreamName,
        startFromHead: true,
      }),
    )
    expect(events.map(({ message }) => message)).toEqual(['serve begins', 'serve begins'])
  })
})

describe('several variants', () => {
  test('share requests by weight and can be asked for by name', async () => {
    await clients.createModel('left', { NAME: 'left' })
    await clients.createModel('right', { NAME: 'right' })
    await clients.createConfig('both', [
      { VariantName: 'Left', ModelName: 'left', InitialVariantWeight: 3 },
      {
        VariantName: 'Right',
        ModelName: 'right',
        InitialVariantWeight: 0,
        InitialInstanceCount: 2,
      },
    ])
    await clients.createEndpoint('both', 'both')
    await clients.settled('both')
    const ask = (count: number, more = {}) =>
      Promise.all(Array.from({ length: count }, () => invoke('both', '1', more)))

    expect(new Set((await ask(12)).map(({ name }) => name))).toEqual(new Set(['left']))
    const forced = await ask(4, { TargetVariant: 'Right' })
    expect(forced.map(({ variant }) => variant)).toEqual(['Right', 'Right', 'Right', 'Right'])
    expect(new Set(forced.map(({ pid, port }) => `${pid} ${port}`)).size).toBe(2)

    await clients.sagemaker.send(
      new UpdateEndpointWeightsAndCapacitiesCommand({
        EndpointName: 'both',
        DesiredWeightsAndCapacities: [
          { VariantName: 'Left', DesiredWeight: 0, DesiredInstanceCount: 2 },
          { VariantName: 'Right', DesiredWeight: 1, DesiredInstanceCount: 1 },
        ],
      }),
    )
    expect(await clients.settled('both')).toMatchObject({ status: 'InService', reason: '' })
    expect(new Set((await ask(12)).map(({ name }) => name))).toEqual(new Set(['right']))
    const { ProductionVariants } = await clients.sagemaker.send(
      new DescribeEndpointCommand({ EndpointName: 'both' }),
    )
    expect(ProductionVariants).toMatchObject([
      { VariantName: 'Left', CurrentWeight: 0, CurrentInstanceCount: 2 },
      { VariantName: 'Right', CurrentWeight: 1, CurrentInstanceCount: 1 },
    ])
    await expect(
      clients.sagemaker.send(
        new UpdateEndpointWeightsAndCapacitiesCommand({
          EndpointName: 'both',
          DesiredWeightsAndCapacities: [{ VariantName: 'Middle', DesiredWeight: 0 }],
        }),
      ),
    ).rejects.toThrow('The variant name(s) "Middle" is/are not present')
  })
})

describe('an update', () => {
  test('fails no request, and ends the old servers when the new ones answer', async () => {
    await clients.createModel('blue', { NAME: 'blue' })
    await clients.createModel('green', { NAME: 'green' })
    await clients.createConfig('blue', [{ ModelName: 'blue' }])
    await clients.createConfig('green', [{ ModelName: 'green' }])
    await clients.createEndpoint('colour', 'blue')
    await clients.settled('colour')
    const { port } = await invoke('colour', '1')

    await clients.sagemaker.send(
      new UpdateEndpointCommand({ EndpointName: 'colour', EndpointConfigName: 'green' }),
    )
    const seen: (string | null)[] = []
    while (seen.at(-1) !== 'green') seen.push((await invoke('colour', '1')).name)

    expect(seen[0]).toBe('blue')
    expect(await clients.settled('colour')).toMatchObject({ status: 'InService', config: 'green' })
    await eventually(async () => expect(isListening(port)).toBe(false))
    expect((await invoke('colour', '1')).name).toBe('green')
  })

  test('to servers that do not answer leaves the old ones in service and says why', async () => {
    await clients.createModel('well', { NAME: 'well' })
    await clients.createModel('crashing', { CRASH: '1' })
    await clients.createConfig('well', [{ ModelName: 'well' }])
    await clients.createConfig('crashing', [{ ModelName: 'crashing' }])
    await clients.createEndpoint('kept', 'well')
    await clients.settled('kept')

    await clients.sagemaker.send(
      new UpdateEndpointCommand({ EndpointName: 'kept', EndpointConfigName: 'crashing' }),
    )
    const after = await clients.settled('kept')

    expect(after).toMatchObject({ status: 'InService', config: 'well' })
    expect(after.reason).toMatch(
      /primary container for production variant AllTraffic did not pass the ping health check/,
    )
    expect(after.reason).toContain('ended with exit code 7 before it answered, 3 times')
    expect(after.reason).toContain('there is no model to load')
    expect((await invoke('kept', '1')).name).toBe('well')
  })
})

describe('an endpoint that does not come to be', () => {
  test.each([
    [
      'answers /ping with an error',
      { PING: '500' },
      // As long as a busy machine may need to start it.
      '12',
      /it listened after [\d.]+ s, but \/ping answered 500/,
    ],
    [
      'listens at another port',
      { LISTEN: 'no' },
      '2',
      /nothing listened at port \d+, which the variable SAGEMAKER_BIND/,
    ],
  ])(
    'because its server %s is Failed, says so, and can be deleted',
    async (_what, ill, startupSeconds, reason) => {
      const name = `ill-${Object.keys(ill)[0]?.toLowerCase()}`
      await clients.createModel(name, ill)
      await clients.createConfig(name, [{ ModelName: name }])
      await clients.createEndpoint(name, name, [
        { Key: 'millrace:startup-seconds', Value: startupSeconds },
      ])

      const end = await clients.settled(name)

      expect(end.status).toBe('Failed')
      expect(end.reason).toMatch(reason)
      await expect(invoke(name, '1')).rejects.toThrow(/it is Failed. DescribeEndpoint says why/)
      await clients.sagemaker.send(new DeleteEndpointCommand({ EndpointName: name }))
      await gone(name)
    },
  )
})

test('an image that was pushed here is started with the word serve, in its own file system', async () => {
  const serve =
    '#!/bin/sh\necho $PWD $GREETING $NAME $1\nls() { echo /opt/ml/model/*; }; ls\nexit 4\n'
  const layer = await imageLayer(plane.directory, { 'bin/entry': serve, 'work/a': '' }, ['/bin/sh'])
  await pushImage(plane.url, 'team/server', [layer], {
    Entrypoint: ['/bin/entry'],
    Env: ['GREETING=hello'],
    WorkingDir: '/work',
  })
  await clients.sagemaker.send(
    new CreateModelCommand({
      ModelName: 'pushed',
      ExecutionRoleArn: ROLE,
      PrimaryContainer: {
        Image: '123456789012.dkr.ecr.us-east-1.amazonaws.com/team/server:1.0',
        ModelDataUrl: 's3://models/model.tar.gz',
        Environment: { NAME: 'pushed' },
      },
    }),
  )
  await clients.createConfig('pushed', [{ ModelName: 'pushed' }])
  await clients.createEndpoint('pushed', 'pushed')

  const { status, reason } = await clients.settled('pushed')

  expect(status).toBe('Failed')
  expect(reason).toContain('ended with exit code 4')
  expect(reason).toContain('/work hello pushed serve\n/opt/ml/model/weights.txt')
})

describe('data capture', () => {
  test('keeps requests and answers in S3 as SageMaker lays them out', async () => {
    await clients.createModel('captured', { NAME: 'captured' })
    await clients.sagemaker.send(
      new CreateEndpointConfigCommand({
        EndpointConfigName: 'captured',
        ProductionVariants: [
          {
            VariantName: 'Main',
            ModelName: 'captured',
            InstanceType: 'ml.t2.medium',
            InitialInstanceCount: 1,
          },
        ],
        DataCaptureConfig: {
          EnableCapture: true,
          InitialSamplingPercentage: 100,
          DestinationS3Uri: 's3://models/captured/',
          CaptureOptions: [{ CaptureMode: 'Input' }, { CaptureMode: 'Output' }],
          CaptureContentTypeHeader: { CsvContentTypes: ['text/csv'] },
        },
      }),
    )
    await clients.createEndpoint('captured', 'captured')
    await clients.settled('captured')

    await invoke('captured', '4,5', { CustomAttributes: 'trace=7' })

    const { Contents = [] } = await clients.s3.send(
      new ListObjectsV2Command({ Bucket: 'models', Prefix: 'captured/' }),
    )
    const [Key = ''] = Contents.map((object) => object.Key)
    expect(Key).toMatch(
      /^captured\/captured\/Main\/\d{4}\/\d\d\/\d\d\/\d\d\/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl$/,
    )
    const { Body } = await clients.s3.send(new GetObjectCommand({ Bucket: 'models', Key }))
    const record = JSON.parse((await Body?.transformToString()) ?? '')
    expect(record).toMatchObject({
      captureData: {
        endpointInput: {
          observedContentType: 'text/csv',
          mode: 'INPUT',
          data: '4,5',
          encoding: 'CSV',
        },
        endpointOutput: {
          observedContentType: 'application/json',
          mode: 'OUTPUT',
          encoding: 'BASE64',
        },
      },
      eventMetadata: { customAttributes: ['trace=7'] },
      eventVersion: '0',
    })
    const answered = Buffer.from(record.captureData.endpointOutput.data, 'base64').toString()
    expect(JSON.parse(answered)).toMatchObject({ name: 'captured', body: '4,5' })
  })
})
