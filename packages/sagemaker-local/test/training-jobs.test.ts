import { chmod, mkdtemp, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DescribeLogStreamsCommand, GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs'
import {
  AddTagsCommand,
  DeleteTrainingJobCommand,
  ListTagsCommand,
  ListTrainingJobsCommand,
  StopTrainingJobCommand,
} from '@aws-sdk/client-sagemaker'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'
import { BUCKET, GROUP, trainingClient } from './training-client.ts'

let running: TestPlane
let client: Awaited<ReturnType<typeof trainingClient>>

beforeAll(async () => {
  running = await startTestPlane()
  client = await trainingClient(running)
  await client.put('data/train/a.csv', '1\n2\n')
  await client.put('data/train/deep/b.csv', '3\n')
})
afterAll(() => running[Symbol.asyncDispose]())

const channel = (name: string, mode: 'File' | 'FastFile' | 'Pipe' = 'File') => ({
  ChannelName: name,
  ContentType: 'text/csv',
  InputMode: mode,
  DataSource: {
    S3DataSource: { S3DataType: 'S3Prefix' as const, S3Uri: `s3://${BUCKET}/data/train` },
  },
})

describe('a job', () => {
  test('finds its configuration and data, prints, and leaves its model and output', async () => {
    const image = await client.image(`#!/bin/sh
cd /opt/ml
cat input/config/hyperparameters.json; echo
cat input/config/resourceconfig.json; echo
cat input/config/inputdataconfig.json; echo
cd input/data/train && find . -type f | sort && cat a.csv
echo "loss=0.75; loss=0.25;"
mkdir -p /opt/ml/model/deep && echo weights > /opt/ml/model/deep/w
echo report > /opt/ml/output/data/report
env | sort | sed 's/=.*//' | tr '\\n' ' '
`)
    await client.create('whole', image, {
      HyperParameters: { epochs: '10', name: '"x"' },
      InputDataConfig: [channel('train')],
      Environment: { GREETING: 'hello' },
      AlgorithmSpecification: {
        TrainingImage: image,
        TrainingInputMode: 'File',
        MetricDefinitions: [{ Name: 'loss', Regex: 'loss=(?P<value>[0-9.]+)' }],
      },
    })
    const job = await client.ended('whole')

    expect(job).toMatchObject({
      TrainingJobStatus: 'Completed',
      SecondaryStatus: 'Completed',
      ModelArtifacts: { S3ModelArtifacts: `s3://${BUCKET}/out/whole/output/model.tar.gz` },
      FinalMetricDataList: [{ MetricName: 'loss', Value: 0.75 }],
    })
    expect(job.SecondaryStatusTransitions?.map(({ Status }) => Status)).toEqual([
      'Starting',
      'DownloadingTrainingImage',
      'Downloading',
      'Training',
      'Uploading',
      'Completed',
    ])
    expect(job.SecondaryStatusTransitions?.every(({ StatusMessage }) => StatusMessage)).toBe(true)
    const [lines = []] = await client.lines('whole')
    expect(lines.slice(0, 3).map((line) => JSON.parse(line) as object)).toEqual([
      { epochs: '10', name: '"x"' },
      {
        current_host: 'algo-1',
        current_instance_type: 'ml.m5.large',
        current_group_name: 'homogeneousCluster',
        hosts: ['algo-1'],
        instance_groups: [
          {
            instance_group_name: 'homogeneousCluster',
            instance_type: 'ml.m5.large',
            hosts: ['algo-1'],
          },
        ],
        network_interface_name: 'lo',
      },
      {
        train: {
          ContentType: 'text/csv',
          TrainingInputMode: 'File',
          S3DistributionType: 'FullyReplicated',
          RecordWrapperType: 'None',
        },
      },
    ])
    expect(lines.slice(3, 7)).toEqual(['./a.csv', './deep/b.csv', '1', '2'])
    expect(await client.archive('out/whole/output/model.tar.gz')).toEqual({ 'deep/w': 'weights\n' })
    expect(await client.archive('out/whole/output/output.tar.gz')).toEqual({ report: 'report\n' })
    const known =
      /^(AWS_\w+|TRAINING_JOB_(NAME|ARN)|S3_ENDPOINT_URL|SAGEMAKER_BASE_DIR|GREETING|HOME|LANG|LOGNAME|PATH|PWD|OLDPWD|PYTHONUNBUFFERED|SHLVL|USER|_)$/
    const names = lines.at(-1)?.trim().split(' ') ?? []
    expect(names).toContain('GREETING')
    expect(names.filter((name) => !known.test(name))).toEqual([])
  })

  test('that fails says why in the words of its failure file, and leaves no model', async () => {
    const image = await client.image(
      '#!/bin/sh\necho "the sensor is broken" > /opt/ml/output/failure\necho x > /opt/ml/model/x\nexit 4\n',
    )
    await client.create('failing', image)

    const job = await client.ended('failing')

    expect(job.TrainingJobStatus).toBe('Failed')
    expect(job.FailureReason).toBe('AlgorithmError: the sensor is broken\n, exit code: 4')
    await expect(client.archive('out/failing/output/model.tar.gz')).rejects.toThrow(
      /does not exist/,
    )
  })

  test('that puts links in place of its results has us neither read nor write what is not its own', async () => {
    const secrets = await mkdtemp(join(running.directory, 'secrets-'))
    await writeFile(join(secrets, 'key'), 'secret')
    const train = (code: number) => `#!/bin/sh
rmdir /opt/ml/model && ln -s ${secrets} /opt/ml/model
mv /opt/ml/output /tmp/was && ln -s ${secrets} /opt/ml/output
ln -s ${secrets}/written /opt/ml/model.tar.gz
ln -s ${secrets}/key /tmp/was/failure && [ ${code} = 0 ] || { rm /opt/ml/output && mv /tmp/was /opt/ml/output; }
exit ${code}
`
    await client.create('linking', await client.image(train(0)))
    await client.create('telling', await client.image(train(1)))

    expect((await client.ended('linking')).TrainingJobStatus).toBe('Completed')
    expect(await client.archive('out/linking/output/model.tar.gz')).toEqual({})
    expect(await readdir(secrets)).toEqual(['key'])
    expect((await client.ended('telling')).FailureReason).not.toContain('secret')
  })

  test('that is stopped is asked to end, and what it has made is kept', async () => {
    const image = await client.image(`#!/bin/sh
trap 'echo saved > /opt/ml/model/w; exit 0' TERM
echo ready
while true; do sleep 0.05; done
`)
    await client.create('stopped', image)
    await client.until(
      async () => (await client.lines('stopped'))[0]?.includes('ready') || undefined,
    )

    await client.sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: 'stopped' }))
    const job = await client.ended('stopped')

    expect([job.TrainingJobStatus, job.SecondaryStatus]).toEqual(['Stopped', 'Stopped'])
    expect(await client.archive('out/stopped/output/model.tar.gz')).toEqual({ w: 'saved\n' })
    await expect(
      client.sagemaker.send(new StopTrainingJobCommand({ TrainingJobName: 'stopped' })),
    ).rejects.toMatchObject({ name: 'ValidationException' })
  })

  test('with several instances knows them all, and their models are merged', async () => {
    const image = await client.image(`#!/bin/sh
host=$(sed 's/.*"current_host":"\\([^"]*\\)".*/\\1/' /opt/ml/input/config/resourceconfig.json)
echo "$host of $(getent hosts algo-1 algo-2 | tr -s ' ' | tr '\\n' ' ')"
echo $host > /opt/ml/model/$host
`)
    await client.create('pair', image, {
      ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 2, VolumeSizeInGB: 1 },
    })

    expect((await client.ended('pair')).TrainingJobStatus).toBe('Completed')
    expect(await client.lines('pair')).toEqual([
      ['algo-1 of 127.0.1.1 algo-1 127.0.1.2 algo-2 '],
      ['algo-2 of 127.0.1.1 algo-1 127.0.1.2 algo-2 '],
    ])
    expect(await client.archive('out/pair/output/model.tar.gz')).toEqual({
      'algo-1': 'algo-1\n',
      'algo-2': 'algo-2\n',
    })
  })

  test('reads a channel from pipes, one per epoch, and another one as files that it cannot change', async () => {
    const image = await client.image(`#!/bin/sh
cd /opt/ml/input/data
until [ -p piped_0 ]; do sleep 0.01; done; echo epoch 0: $(cat piped_0)
until [ -p piped_1 ]; do sleep 0.01; done; echo epoch 1: $(cat piped_1)
cat fast/a.csv
( echo 9 >> fast/a.csv ) 2>/dev/null || echo refused
`)
    await client.create('channels', image, {
      InputDataConfig: [channel('piped', 'Pipe'), channel('fast', 'FastFile')],
    })

    expect((await client.ended('channels')).TrainingJobStatus).toBe('Completed')
    expect(await client.lines('channels')).toEqual([
      ['epoch 0: 1 2 3', 'epoch 1: 1 2 3', '1', '2', 'refused'],
    ])
  })

  test('sees neither homes nor the files of others, and has no network when it asks for none', async () => {
    const image = await client.image(`#!/bin/sh
ls -A /home /var/tmp; ls ${running.directory}/sagemaker.db; grep -o '^ *[a-z0-9]*:' /proc/net/dev; id -u
`)
    await client.create('isolated', image, { EnableNetworkIsolation: true })

    await client.ended('isolated')
    const [lines = []] = await client.lines('isolated')
    const text = lines.join('\n')
    expect(text).toMatch(/sagemaker.db'?: No such file/)
    expect(text).not.toMatch(/^0$/m)
    expect(lines.filter((line) => /^ *\w+:$/.test(line)).map((line) => line.trim())).toEqual([
      'lo:',
    ])
  })
})

describe('a job is ended alone when it', () => {
  test.each([
    [
      'holds too much memory',
      'memory-megabytes',
      '64',
      'more memory',
      'x=x; while true; do x=$x$x; done',
    ],
    ['writes too much', 'disk-megabytes', '4', 'its volume', 'yes > /opt/ml/model/w'],
    ['starts too many processes', 'processes', '40', 'processes', 'f() { sleep 60 & f; }; f'],
    ['forks without end', 'processes', '300', 'processes', 'f() { f | f & }; f; sleep 60'],
  ])('%s', async (what, tag, value, words, program) => {
    const image = await client.image(`#!/bin/sh\n${program}\n`)
    const name = `over-${what.replaceAll(' ', '-')}`
    await client.create(name, image, { Tags: [{ Key: `millrace:${tag}`, Value: value }] })

    const job = await client.ended(name)

    expect(job.TrainingJobStatus).toBe('Failed')
    expect(job.FailureReason).toMatch(/^AlgorithmError: The job was ended because/)
    expect(job.FailureReason).toContain(words)
  })

  test('keeps in memory as files what its instance does not have: the kernel refuses that', async () => {
    const image = await client.image('#!/bin/sh\nhead -c 80000000 /dev/zero > /dev/shm/x\n')
    const Tags = [{ Key: 'millrace:memory-megabytes', Value: '64' }]
    await client.create('shared-memory', image, { Tags })

    const job = await client.ended('shared-memory')

    expect(job.FailureReason).toMatch(/^AlgorithmError: .*No space left on device/s)
  })

  test('prints without end: its log ends, with a word, and the job goes on', async () => {
    const image = await client.image(`#!/bin/sh
head -c 3000000 /dev/zero | tr '\\0' 'x' | fold -w 100
echo done > /opt/ml/model/w
`)
    await client.create('loud', image, { Tags: [{ Key: 'millrace:log-megabytes', Value: '1' }] })

    expect((await client.ended('loud')).TrainingJobStatus).toBe('Completed')
    const { logStreams = [] } = await client.logs.send(
      new DescribeLogStreamsCommand({ logGroupName: GROUP, logStreamNamePrefix: 'loud/' }),
    )
    expect(logStreams[0]?.storedBytes).toBeLessThan(1_400_000)
    const { events = [] } = await client.logs.send(
      new GetLogEventsCommand({ logGroupName: GROUP, logStreamName: logStreams[0]?.logStreamName }),
    )
    expect(events.at(-1)?.message).toContain('what follows is not kept')
  })
})

describe('refused with a ValidationException that says what to do is', () => {
  const definitions = (Regex: string) => ({
    AlgorithmSpecification: {
      TrainingImage: 'local:/bin',
      TrainingInputMode: 'File' as const,
      MetricDefinitions: [{ Name: 'loss', Regex }],
    },
  })
  test.each([
    ['a wrong regex', definitions('loss=(['), /regular expression 'loss=\(\['.*'loss'/],
    [
      'a spot wait below the runtime',
      {
        EnableManagedSpotTraining: true,
        StoppingCondition: { MaxRuntimeInSeconds: 60, MaxWaitTimeInSeconds: 59 },
      },
      /MaxWaitTimeInSeconds.*59 is less than 60/,
    ],
    [
      'a missing S3 key',
      {
        InputDataConfig: [
          {
            ChannelName: 'train',
            DataSource: {
              S3DataSource: {
                S3DataType: 'S3Prefix' as const,
                S3Uri: `s3://${BUCKET}/nowhere`,
              },
            },
          },
        ],
      },
      /No S3 objects found under S3 URL "s3:\/\/training\/nowhere"/,
    ],
    [
      'a missing bucket',
      { OutputDataConfig: { S3OutputPath: 's3://no-such-bucket/x' } },
      /bucket 'no-such-bucket'.*create it first/,
    ],
    [
      'an image that nobody knows',
      {
        AlgorithmSpecification: { TrainingImage: 'me/mine:1', TrainingInputMode: 'File' as const },
      },
      /image me\/mine:1.*local:\/path/,
    ],
    [
      'a folder without train',
      {
        AlgorithmSpecification: { TrainingImage: 'local:/var', TrainingInputMode: 'File' as const },
      },
      /folder \/var has no file 'train'/,
    ],
    [
      'an instance type that is none',
      { ResourceConfig: { InstanceType: 'huge', InstanceCount: 1, VolumeSizeInGB: 1 } },
      /'huge' at 'resourceConfig.instanceType'/,
    ],
    [
      'a name that AWS does not take',
      { TrainingJobName: 'under_score' },
      /1 validation error detected: Value 'under_score' at 'trainingJobName'.*regular expression pattern: \[a-zA-Z0-9\]\(-\*/,
    ],
  ] as const)('%s', async (_what, changes, message) => {
    const image = await client.image('#!/bin/sh\n')
    await expect(client.create('refused', image, changes as object)).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringMatching(message),
    })
  })

  test.each([
    ['without its run bit', '#!/bin/sh\n', 0o644, /may not be executed: run "chmod \+x/],
    ['with the line ends of Windows', '#!/bin/sh\r\necho\r\n', 0o755, /line ends of Windows/],
  ])('a train %s', async (_what, text, mode, message) => {
    const directory = await mkdtemp(join(running.directory, 'bad-'))
    await writeFile(join(directory, 'train'), text)
    await chmod(join(directory, 'train'), mode)
    await expect(client.create('refused', `local:${directory}`)).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringMatching(message),
    })
  })
})

test('a source archive that cannot be read, or leads out of its folder, fails the job with a reason', async () => {
  await client.put('code/broken.tar.gz', 'this is no archive')
  await client.create('broken', '1.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1', {
    HyperParameters: {
      sagemaker_program: 'train.py',
      sagemaker_submit_directory: `s3://${BUCKET}/code/broken.tar.gz`,
    },
  })

  const job = await client.ended('broken')

  expect(job.FailureReason).toMatch(/^ClientError: .*broken\.tar\.gz is not an archive/)
})

test('jobs are listed page by page, newest first, and deleted when they have ended', async () => {
  const image = await client.image('#!/bin/sh\n')
  for (const name of ['page-1', 'page-2', 'page-3']) await client.create(name, image)
  await Promise.all(['page-1', 'page-2', 'page-3'].map((name) => client.ended(name)))
  const list = (input: object) =>
    client.sagemaker.send(new ListTrainingJobsCommand({ NameContains: 'page', ...input }))

  const first = await list({ MaxResults: 2 })
  const second = await list({ MaxResults: 2, NextToken: first.NextToken })
  await client.sagemaker.send(new DeleteTrainingJobCommand({ TrainingJobName: 'page-2' }))
  const left = await list({ SortBy: 'Name', SortOrder: 'Descending' })

  const names = ({ TrainingJobSummaries = [] }: typeof first) =>
    TrainingJobSummaries.map(({ TrainingJobName }) => TrainingJobName)
  expect(names(first)).toEqual(['page-3', 'page-2'])
  expect(names(second)).toEqual(['page-1'])
  expect(second.NextToken).toBeUndefined()
  expect(names(left)).toEqual(['page-3', 'page-1'])
  await expect(client.describe('page-2')).rejects.toMatchObject({
    name: 'ValidationException',
    message: 'Requested resource not found.',
  })
  await expect(client.create('page-1', image)).rejects.toMatchObject({ name: 'ResourceInUse' })
  await expect(list({ NextToken: 'made-up' })).rejects.toMatchObject({
    name: 'ValidationException',
  })
})

test('tags are kept with a job', async () => {
  const image = await client.image('#!/bin/sh\n')
  const { TrainingJobArn: ResourceArn } = await client.create('tagged', image, {
    Tags: [{ Key: 'team', Value: 'blue' }],
  })
  await client.sagemaker.send(
    new AddTagsCommand({ ResourceArn, Tags: [{ Key: 'stage', Value: 'test' }] }),
  )

  const { Tags } = await client.sagemaker.send(new ListTagsCommand({ ResourceArn }))
  expect(Tags).toEqual([
    { Key: 'stage', Value: 'test' },
    { Key: 'team', Value: 'blue' },
  ])
  await client.ended('tagged')
})

test('a log is read on from its token until an empty page, and from its end', async () => {
  const image = await client.image('#!/bin/sh\nfor i in 1 2 3 4 5; do echo line $i; done\n')
  await client.create('reading', image)
  await client.ended('reading')
  const { logStreams = [] } = await client.logs.send(
    new DescribeLogStreamsCommand({
      logGroupName: GROUP,
      logStreamNamePrefix: 'reading/',
      limit: 1,
    }),
  )
  const read = async (input: object) => {
    const { events = [], ...tokens } = await client.logs.send(
      new GetLogEventsCommand({
        logGroupName: GROUP,
        logStreamName: logStreams[0]?.logStreamName,
        ...input,
      }),
    )
    return { ...tokens, lines: events.map(({ message }) => message), events }
  }

  const first = await read({ startFromHead: true, limit: 3 })
  const second = await read({ nextToken: first.nextForwardToken, limit: 3 })
  const third = await read({ nextToken: second.nextForwardToken, limit: 3 })

  expect(first.lines).toEqual(['line 1', 'line 2', 'line 3'])
  expect(second.lines).toEqual(['line 4', 'line 5'])
  expect(third.lines).toEqual([])
  expect(third.nextForwardToken).toBe(second.nextForwardToken)
  expect((await read({ limit: 2 })).lines).toEqual(['line 4', 'line 5'])
  expect((await read({ nextToken: second.nextBackwardToken, limit: 2 })).lines).toEqual([
    'line 2',
    'line 3',
  ])
  const startTime = first.events[2]?.timestamp
  expect((await read({ startFromHead: true, startTime })).lines).toContain('line 3')
  await expect(
    client.logs.send(new DescribeLogStreamsCommand({ logGroupName: '/aws/none' })),
  ).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
})
