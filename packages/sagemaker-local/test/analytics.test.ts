import { FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs'
import {
  AddTagsCommand,
  SearchCommand,
  type SearchCommandInput,
  UpdateTrainingJobCommand,
} from '@aws-sdk/client-sagemaker'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { PythonEnvironmentName } from '../../../tools/setup/python-environments.ts'
import { decodeCbor, encodeCbor } from '../src/http/cbor.ts'
import { needPython, observe } from './python-client.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'
import { GROUP, trainingClient } from './training-client.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const PRINTING = `#!/bin/sh
for loss in 0.75 0.5 0.25; do echo "loss=$loss; rows=10"; done
echo "the end -1"
`
let running: TestPlane
let client: Awaited<ReturnType<typeof trainingClient>>
let arn = ''

beforeAll(async () => {
  running = await startTestPlane()
  client = await trainingClient(running)
  const image = await client.image(PRINTING)
  for (const [name, rate] of [
    ['measured', '0.1'],
    ['other', '0.9'],
  ] as const) {
    const { TrainingJobArn = '' } = await client.create(name, image, {
      HyperParameters: { rate },
      AlgorithmSpecification: {
        TrainingImage: image,
        TrainingInputMode: 'File',
        MetricDefinitions: [
          { Name: 'loss', Regex: 'loss=([0-9.]+)' },
          { Name: 'rows', Regex: 'rows=([0-9]+)' },
        ],
      },
    })
    if (name === 'measured') arn = TrainingJobArn
  }
  await Promise.all(['measured', 'other'].map(client.ended))
  const Tags = [{ Key: 'team', Value: 'blue' }]
  await client.sagemaker.send(new AddTagsCommand({ ResourceArn: arn, Tags }))
})
afterAll(() => running[Symbol.asyncDispose]())

// The newer one speaks JSON to CloudWatch, and the older one forms and XML.
test.for<PythonEnvironmentName>(['sagemaker-2.257', 'sagemaker-1.72'])(
  'the analytics of the SDK in %s see what a job has measured, and its boto3 what it has put',
  async (environment, context) => {
    await needPython(environment, context)

    const args = ['measured', environment]
    const observed = await observe(running, environment, 'analytics_clients.py', args)

    // The other one has no pandas, which the analytics are made of.
    if (environment === 'sagemaker-2.257') {
      expect(observed['frame']).toEqual({ loss: 0.5, rows: 10 })
    }
    expect(observed['point']).toEqual([5.5, 5, 10])
    expect(observed['age']).toBe(true)
    expect(observed['data']).toEqual(['m1', 'Complete', [27.5]])
    expect(observed['listed']).toEqual(['loss', 'loss', 'rows', 'rows'])
    expect(observed['refusals']).toEqual([
      'ValidationException',
      'InvalidParameterValue',
      'InvalidParameterCombination',
    ])
  },
)

test('CloudWatch answers in CBOR whoever asks in it, refusals too', async () => {
  const ask = async (operation: string, input: object) => {
    const path = `/service/GraniteServiceVersion20100801/operation/${operation}`
    const answer = await fetch(running.url + path, {
      method: 'POST',
      headers: { 'smithy-protocol': 'rpc-v2-cbor', 'content-type': 'application/cbor' },
      body: new Uint8Array(encodeCbor(input)),
    })
    expect(answer.headers.get('smithy-protocol')).toBe('rpc-v2-cbor')
    return decodeCbor(Buffer.from(await answer.arrayBuffer()))
  }

  const Dimensions = [{ Name: 'TrainingJobName', Value: 'measured' }]
  const metric = { Namespace: '/aws/sagemaker/TrainingJobs', MetricName: 'loss', Dimensions }
  const times = {
    StartTime: new Date(Date.now() - 600_000),
    EndTime: new Date(Date.now() + 60_000),
  }
  const Statistics = ['SampleCount', 'Minimum']
  const answer = await ask('GetMetricStatistics', { ...metric, ...times, Period: 3600, Statistics })

  expect(answer).toMatchObject({ Label: 'loss', Datapoints: [{ SampleCount: 3, Minimum: 0.25 }] })
  expect(await ask('PutDashboard', {})).toMatchObject({
    __type: 'com.amazonaws.cloudwatch#UnknownOperationException',
  })
})

describe('a search finds training jobs', () => {
  const search = async (input: Omit<SearchCommandInput, 'Resource'>) => {
    const { Results = [] } = await client.sagemaker.send(
      new SearchCommand({ Resource: 'TrainingJob', ...input }),
    )
    return Results.map(({ TrainingJob }) => TrainingJob?.TrainingJobName)
  }
  const filter = (Name: string, Operator?: string, Value?: string) => ({
    SearchExpression: { Filters: [{ Name, Operator, Value }] },
  })

  test.each([
    ['by name', filter('TrainingJobName', 'Contains', 'MEAS'), ['measured']],
    ['by tag', filter('Tags.team', 'Equals', 'blue'), ['measured']],
    ['by what they lack', filter('Tags.team', 'NotExists'), ['other']],
    ['by hyperparameter', filter('HyperParameters.rate', 'GreaterThan', '0.5'), ['other']],
    ['by metric', filter('Metrics.loss', 'LessThanOrEqualTo', '0.25'), ['measured', 'other']],
    ['by time', filter('CreationTime', 'LessThan', '2020-01-01T00:00:00Z'), []],
    ['by one of several', filter('TrainingJobName', 'In', 'x, other'), ['other']],
    [
      'by one condition or another',
      {
        SearchExpression: {
          Operator: 'Or',
          SubExpressions: [
            { Filters: [{ Name: 'TrainingJobName', Operator: 'Equals', Value: 'other' }] },
            { Filters: [{ Name: 'Tags.team', Operator: 'Exists' }] },
          ],
        },
      },
      ['measured', 'other'],
    ],
  ] as [string, Omit<SearchCommandInput, 'Resource'>, string[]][])(
    '%s',
    async (_how, input, names) => {
      expect(await search({ ...input, SortBy: 'TrainingJobName', SortOrder: 'Ascending' })).toEqual(
        names,
      )
    },
  )

  test('page by page, sorted by any property, the largest first', async () => {
    const page = { Resource: 'TrainingJob', SortBy: 'HyperParameters.rate', MaxResults: 1 } as const
    const first = await client.sagemaker.send(new SearchCommand(page))
    const second = await client.sagemaker.send(
      new SearchCommand({ ...page, NextToken: first.NextToken }),
    )

    expect(first.Results?.[0]?.TrainingJob?.TrainingJobName).toBe('other')
    expect(second.Results?.[0]?.TrainingJob?.TrainingJobName).toBe('measured')
    expect(second.NextToken).toBeUndefined()
  })

  test('and nothing of what there is none', async () => {
    const { Results } = await client.sagemaker.send(
      new SearchCommand({ Resource: 'ExperimentTrialComponent' }),
    )
    expect(Results).toEqual([])
  })
})

test('the logs of a group are filtered by words, page by page', async () => {
  const filtered = async (filterPattern: string) => {
    const messages: string[] = []
    for (let nextToken: string | undefined; ; ) {
      const page = await client.logs.send(
        new FilterLogEventsCommand({ logGroupName: GROUP, filterPattern, nextToken, limit: 2 }),
      )
      messages.push(...(page.events ?? []).map(({ message = '' }) => message))
      nextToken = page.nextToken
      if (nextToken === undefined) return messages
    }
  }

  expect(await filtered('')).toHaveLength(8)
  expect(await filtered('"loss=0.5;" rows')).toHaveLength(2)
  expect(await filtered('?end ?0.25')).toHaveLength(4)
  expect(await filtered('loss -0.5')).toHaveLength(4)
  await expect(filtered('{ $.loss > 1 }')).rejects.toThrow('is not read here')
  await expect(
    client.logs.send(new FilterLogEventsCommand({ logGroupName: '/nobody' })),
  ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
})

test('a job that runs can be updated in what AWS lets it, and one that has ended cannot', async () => {
  const image = await client.image('#!/bin/sh\nsleep 60\n')
  await client.create('updated', image)
  const update = (TrainingJobName: string) =>
    client.sagemaker.send(
      new UpdateTrainingJobCommand({
        TrainingJobName,
        ProfilerConfig: { DisableProfiler: true },
        ResourceConfig: { KeepAlivePeriodInSeconds: 60 },
      }),
    )

  expect((await update('updated')).TrainingJobArn).toMatch(/:training-job\/updated$/)

  const job = await client.describe('updated')
  expect(job.ProfilerConfig).toEqual({ DisableProfiler: true })
  expect(job.ResourceConfig?.KeepAlivePeriodInSeconds).toBe(60)
  expect(job.ResourceConfig?.InstanceType).toBe('ml.m5.large')
  await expect(update('measured')).rejects.toMatchObject({ name: 'ValidationException' })
})
