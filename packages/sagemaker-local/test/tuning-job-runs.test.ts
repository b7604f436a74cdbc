import { mkdir, rm, writeFile } from 'node:fs/promises'
import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import {
  CreateHyperParameterTuningJobCommand,
  type CreateHyperParameterTuningJobCommandInput,
  DescribeHyperParameterTuningJobCommand,
  DescribeTrainingJobCommand,
  type HyperParameterTrainingJobSummary,
  ListHyperParameterTuningJobsCommand,
  ListTrainingJobsForHyperParameterTuningJobCommand,
  SageMakerClient,
  StopHyperParameterTuningJobCommand,
} from '@aws-sdk/client-sagemaker'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'

// Processes are started and ended, each of which takes its time on a busy machine.
vi.setConfig({ testTimeout: 90_000, hookTimeout: 90_000 })

const TRAIN = `#!/usr/bin/env python3
import json, sys, time
given = json.load(open("/opt/ml/input/config/hyperparameters.json"))
x = float(given.get("x", 0))
if given.get("behaviour") == "fail":
    sys.exit("x is wrong")
for epoch in range(int(given.get("epochs", 1))):
    print("loss=%f;" % ((x - 3) ** 2 + 1), flush=True)
    time.sleep(float(given.get("pause", 0)))
`

let plane: TestPlane
let sagemaker: SageMakerClient
let image: string

beforeAll(async () => {
  plane = await startTestPlane({ places: 4 })
  sagemaker = new SageMakerClient(plane.client)
  const folder = `${plane.directory}-image`
  await mkdir(folder)
  await writeFile(`${folder}/train`, TRAIN, { mode: 0o755 })
  image = `local:${folder}`
  const s3 = new S3Client({ ...plane.client, forcePathStyle: true })
  await s3.send(new CreateBucketCommand({ Bucket: 'tuning' }))
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
  await rm(`${plane.directory}-image`, { recursive: true, force: true })
})

type Input = CreateHyperParameterTuningJobCommandInput
type Config = NonNullable<Input['HyperParameterTuningJobConfig']>

function jobInput(
  name: string,
  config: Partial<Config> = {},
  fixed: Record<string, string> = {},
  more: Partial<Input> = {},
): Input {
  return {
    HyperParameterTuningJobName: name,
    HyperParameterTuningJobConfig: {
      Strategy: 'Random',
      RandomSeed: 7,
      HyperParameterTuningJobObjective: { Type: 'Minimize', MetricName: 'loss' },
      ResourceLimits: { MaxNumberOfTrainingJobs: 6, MaxParallelTrainingJobs: 2 },
      ParameterRanges: {
        ContinuousParameterRanges: [{ Name: 'x', MinValue: '0', MaxValue: '10' }],
      },
      ...config,
    },
    TrainingJobDefinition: {
      StaticHyperParameters: fixed,
      AlgorithmSpecification: {
        TrainingImage: image,
        TrainingInputMode: 'File',
        MetricDefinitions: [{ Name: 'loss', Regex: 'loss=(.*?);' }],
      },
      RoleArn: 'arn:aws:iam::123456789012:role/MillraceSageMakerRole',
      OutputDataConfig: { S3OutputPath: 's3://tuning/output' },
      ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 1 },
      StoppingCondition: { MaxRuntimeInSeconds: 60 },
    },
    ...more,
  }
}

const create = (input: Input) => sagemaker.send(new CreateHyperParameterTuningJobCommand(input))
const describeJob = (HyperParameterTuningJobName: string) =>
  sagemaker.send(new DescribeHyperParameterTuningJobCommand({ HyperParameterTuningJobName }))

async function ended(name: string) {
  for (;;) {
    const job = await describeJob(name)
    if (!/InProgress|Stopping/.test(job.HyperParameterTuningJobStatus ?? '')) return job
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function trialsOf(name: string, by?: 'FinalObjectiveMetricValue') {
  const found: HyperParameterTrainingJobSummary[] = []
  let NextToken: string | undefined
  do {
    const page = await sagemaker.send(
      new ListTrainingJobsForHyperParameterTuningJobCommand({
        HyperParameterTuningJobName: name,
        MaxResults: 4,
        SortBy: by ?? 'Name',
        SortOrder: 'Ascending',
        NextToken,
      }),
    )
    found.push(...(page.TrainingJobSummaries ?? []))
    NextToken = page.NextToken
  } while (NextToken !== undefined)
  return found
}

describe('a tuning job', () => {
  test('runs as many jobs as it may, two at a time, and knows the best of them', async () => {
    await create(jobInput('plain', {}, { pause: '0.3' }))
    const job = await ended('plain')
    const trials = await trialsOf('plain', 'FinalObjectiveMetricValue')

    expect(job).toMatchObject({
      HyperParameterTuningJobStatus: 'Completed',
      TrainingJobStatusCounters: { Completed: 6, InProgress: 0, NonRetryableError: 0, Stopped: 0 },
      ObjectiveStatusCounters: { Succeeded: 6, Pending: 0, Failed: 0 },
      TrainingJobDefinition: { StaticHyperParameters: { _tuning_objective_metric: 'loss' } },
    })
    expect(trials).toHaveLength(6)
    for (const { TunedHyperParameters, FinalHyperParameterTuningJobObjectiveMetric } of trials) {
      const loss = (Number(TunedHyperParameters?.['x']) - 3) ** 2 + 1
      expect(FinalHyperParameterTuningJobObjectiveMetric?.Value).toBeCloseTo(loss, 4)
    }
    expect(job.BestTrainingJob?.TrainingJobName).toBe(trials[0]?.TrainingJobName)
    const starts = trials.map(({ CreationTime }) => Number(CreationTime))
    const overlapping = starts.map(
      (start) =>
        trials.filter(
          ({ CreationTime, TrainingEndTime }) =>
            Number(CreationTime) <= start && Number(TrainingEndTime) > start,
        ).length,
    )
    expect(Math.max(...overlapping)).toBe(2)
    const first = await sagemaker.send(
      new DescribeTrainingJobCommand({ TrainingJobName: trials[0]?.TrainingJobName }),
    )
    expect(first.TrainingJobName).toMatch(/^plain-00\d-[0-9a-f]{8}$/)
    expect(first.TuningJobArn).toBe(job.HyperParameterTuningJobArn)
    expect(first.HyperParameters).toMatchObject({ _tuning_objective_metric: 'loss', pause: '0.3' })
    const { HyperParameterTuningJobSummaries } = await sagemaker.send(
      new ListHyperParameterTuningJobsCommand({ NameContains: 'PLAIN', StatusEquals: 'Completed' }),
    )
    expect(HyperParameterTuningJobSummaries).toMatchObject([{ Strategy: 'Random' }])
    await expect(create(jobInput('plain'))).rejects.toMatchObject({ name: 'ResourceInUse' })
  })

  test('goes through a grid once, and learns from a parent without repeating it', async () => {
    const Values = ['1', '3', '5']
    const ranges = { CategoricalParameterRanges: [{ Name: 'x', Values }] }
    await create(
      jobInput('grid', {
        Strategy: 'Grid',
        ParameterRanges: ranges,
        ResourceLimits: { MaxParallelTrainingJobs: 3 },
      }),
    )
    const grid = await ended('grid')

    expect(grid.HyperParameterTuningJobStatus).toBe('Completed')
    expect(
      (await trialsOf('grid')).map(({ TunedHyperParameters }) => TunedHyperParameters?.['x']),
    ).toEqual(Values)
    expect(grid.BestTrainingJob).toMatchObject({ TunedHyperParameters: { x: '3' } })

    const wider = { CategoricalParameterRanges: [{ Name: 'x', Values: [...Values, '4'] }] }
    const WarmStartConfig = {
      ParentHyperParameterTuningJobs: [{ HyperParameterTuningJobName: 'grid' }],
      WarmStartType: 'IdenticalDataAndAlgorithm' as const,
    }
    await create(jobInput('warm', { ParameterRanges: wider }, {}, { WarmStartConfig }))
    await ended('warm')
    expect(
      (await trialsOf('warm')).map(({ TunedHyperParameters }) => TunedHyperParameters?.['x']),
    ).toEqual(['4'])
  })

  test('is over when its target is met, and the jobs that still run are stopped', async () => {
    await create(
      jobInput(
        'target',
        {
          ResourceLimits: { MaxNumberOfTrainingJobs: 50, MaxParallelTrainingJobs: 2 },
          TuningJobCompletionCriteria: { TargetObjectiveMetricValue: 60 },
        },
        { pause: '0.1' },
      ),
    )
    const job = await ended('target')

    expect(job.HyperParameterTuningJobStatus).toBe('Completed')
    expect((await trialsOf('target')).length).toBeLessThan(8)
  })

  test('that is stopped stops its jobs, and begins no more', async () => {
    await create(jobInput('stopped', {}, { pause: '60' }))
    while (((await describeJob('stopped')).TrainingJobStatusCounters?.InProgress ?? 0) < 2) {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await sagemaker.send(
      new StopHyperParameterTuningJobCommand({ HyperParameterTuningJobName: 'stopped' }),
    )
    expect(await ended('stopped')).toMatchObject({
      HyperParameterTuningJobStatus: 'Stopped',
      TrainingJobStatusCounters: { InProgress: 0, Stopped: 2 },
    })
  })

  test('ends a trial early that is worse than the median of the others at its epoch', async () => {
    const Values = ['3', '3.1', '3.2', '9']
    await create(
      jobInput(
        'early',
        {
          Strategy: 'Grid',
          TrainingJobEarlyStoppingType: 'Auto',
          ParameterRanges: { CategoricalParameterRanges: [{ Name: 'x', Values }] },
          ResourceLimits: { MaxParallelTrainingJobs: 4 },
        },
        { epochs: '600', pause: '0.1' },
      ),
    )
    const statuses = async () =>
      new Map(
        (await trialsOf('early')).map(({ TunedHyperParameters, TrainingJobStatus }) => [
          TunedHyperParameters?.['x'],
          TrainingJobStatus,
        ]),
      )
    while ((await statuses()).get('9') !== 'Stopped') {
      await new Promise((resolve) => setTimeout(resolve, 200))
    }

    expect((await statuses()).get('3')).toBe('InProgress')
    await sagemaker.send(
      new StopHyperParameterTuningJobCommand({ HyperParameterTuningJobName: 'early' }),
    )
    expect((await ended('early')).ObjectiveStatusCounters).toMatchObject({ Succeeded: 4 })
  })

  test('of Hyperband ends the worse trials at its rungs, and all at the last', async () => {
    const HyperbandStrategyConfig = { MinResource: 1, MaxResource: 27 }
    await create(
      jobInput(
        'halving',
        {
          Strategy: 'Hyperband',
          StrategyConfig: { HyperbandStrategyConfig },
          ResourceLimits: { MaxNumberOfTrainingJobs: 6, MaxParallelTrainingJobs: 3 },
        },
        { epochs: '600', pause: '0.2' },
      ),
    )

    expect(await ended('halving')).toMatchObject({
      HyperParameterTuningJobStatus: 'Completed',
      TrainingJobStatusCounters: { Stopped: 6 },
      ObjectiveStatusCounters: { Succeeded: 6 },
    })
    const logs = new CloudWatchLogsClient(plane.client)
    const epochs = await Promise.all(
      (await trialsOf('halving')).map(async ({ TrainingJobName = '' }) => {
        const { events = [] } = await logs.send(
          new FilterLogEventsCommand({
            logGroupName: '/aws/sagemaker/TrainingJobs',
            logStreamNamePrefix: `${TrainingJobName}/`,
            filterPattern: 'loss',
          }),
        )
        return events.length
      }),
    )
    expect(Math.max(...epochs)).toBeGreaterThanOrEqual(27)
    expect(Math.min(...epochs)).toBeLessThan(27)
  })

  test('whose jobs all fail says so after five', async () => {
    await create(
      jobInput(
        'failing',
        { ResourceLimits: { MaxNumberOfTrainingJobs: 20, MaxParallelTrainingJobs: 1 } },
        { behaviour: 'fail' },
      ),
    )
    expect(await ended('failing')).toMatchObject({
      HyperParameterTuningJobStatus: 'Failed',
      FailureReason: expect.stringContaining('No training job succeeded after 5 attempts.'),
      TrainingJobStatusCounters: { NonRetryableError: 5 },
    })
  })
})

test.each([
  [
    'a metric that nobody looks for',
    { HyperParameterTuningJobObjective: { Type: 'Minimize' as const, MetricName: 'rmse' } },
    "The objective metric 'rmse' is not among the MetricDefinitions, which are: loss.",
  ],
  [
    'a grid of numbers',
    { Strategy: 'Grid' as const },
    "Grid search takes categorical parameters only; 'x' is continuous",
  ],
  [
    'a range that ends before it begins',
    {
      ParameterRanges: {
        ContinuousParameterRanges: [{ Name: 'x', MinValue: '5', MaxValue: '1' }],
      },
    },
    "The range of 'x' begins at 5",
  ],
  ['no range at all', { ParameterRanges: {} }, 'at least one parameter range'],
  [
    'Hyperband that nothing tells how far to go',
    { Strategy: 'Hyperband' as const },
    'needs a MaxResource in the HyperbandStrategyConfig, or a static hyperparameter',
  ],
  [
    'Hyperband and another early stopping',
    { Strategy: 'Hyperband' as const, TrainingJobEarlyStoppingType: 'Auto' as const },
    'TrainingJobEarlyStoppingType has to be Off',
  ],
  [
    'the settings of Hyperband for another strategy',
    { StrategyConfig: { HyperbandStrategyConfig: { MinResource: 1, MaxResource: 9 } } },
    'is for the strategy Hyperband',
  ],
])('a tuning job with %s is refused', async (_what, config, message) => {
  await expect(create(jobInput('refused', config))).rejects.toMatchObject({
    name: 'ValidationException',
    message: expect.stringContaining(message),
  })
  await expect(describeJob('refused')).rejects.toMatchObject({ name: 'ResourceNotFound' })
})
