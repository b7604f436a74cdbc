import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { missingPython, pythonOf } from '../../../tools/setup/python-environments.ts'
import { startTestPlane } from './start-test-plane.ts'
import { BUCKET, trainingClient } from './training-client.ts'

const run = promisify(execFile)
const program = join(dirname(pythonOf('moto')), 'aws')

test('the AWS command line creates, describes, lists, stops, follows and deletes jobs', async (context) => {
  if (!existsSync(program)) {
    if (process.env['CI']) throw new Error(missingPython('moto'))
    context.skip(missingPython('moto'))
  }
  await using running = await startTestPlane()
  const client = await trainingClient(running)
  const image = await client.image('#!/bin/sh\necho running\nsleep 60\n')
  const aws = async (service: string, operation: string, ...args: string[]) => {
    const { stdout } = await run(program, [service, operation, '--output', 'json', ...args], {
      env: {
        PATH: process.env['PATH'],
        HOME: running.directory,
        AWS_ENDPOINT_URL: running.url,
        AWS_ACCESS_KEY_ID: 'test',
        AWS_SECRET_ACCESS_KEY: 'test',
        AWS_REGION: 'us-east-1',
        AWS_DEFAULT_REGION: 'us-east-1',
      },
    })
    return (stdout.trim() === '' ? {} : JSON.parse(stdout)) as Record<string, unknown>
  }
  const named = (name: string) => ['--training-job-name', name]
  const create = (name: string) =>
    aws(
      'sagemaker',
      'create-training-job',
      ...named(name),
      '--role-arn=arn:aws:iam::123456789012:role/x',
      `--algorithm-specification=TrainingImage=${image},TrainingInputMode=File`,
      `--output-data-config=S3OutputPath=s3://${BUCKET}/out`,
      '--resource-config=InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=1',
      '--stopping-condition=MaxRuntimeInSeconds=60',
    )

  const arn = 'arn:aws:sagemaker:us-east-1:123456789012:training-job/cli-1'
  expect(await create('cli-1')).toEqual({ TrainingJobArn: arn })
  await create('cli-2')
  const listed = await aws('sagemaker', 'list-training-jobs', '--page-size=1', '--sort-by=Name')
  expect(listed['TrainingJobSummaries']).toMatchObject([
    { TrainingJobName: 'cli-1' },
    { TrainingJobName: 'cli-2' },
  ])
  await client.until(async () => (await client.lines('cli-1'))[0]?.[0])
  const { logStreams } = (await aws(
    'logs',
    'describe-log-streams',
    '--log-group-name=/aws/sagemaker/TrainingJobs',
    '--log-stream-name-prefix=cli-1/',
  )) as { logStreams: { logStreamName: string }[] }
  expect(
    await aws(
      'logs',
      'get-log-events',
      '--log-group-name=/aws/sagemaker/TrainingJobs',
      `--log-stream-name=${logStreams[0]?.logStreamName}`,
    ),
  ).toMatchObject({ events: [{ message: 'running' }] })
  await Promise.all(
    ['cli-1', 'cli-2'].map((name) => aws('sagemaker', 'stop-training-job', ...named(name))),
  )
  await client.ended('cli-1')
  expect(await aws('sagemaker', 'describe-training-job', ...named('cli-1'))).toMatchObject({
    TrainingJobStatus: 'Stopped',
  })
  await aws('sagemaker', 'delete-training-job', ...named('cli-1'))
  await expect(aws('sagemaker', 'describe-training-job', ...named('cli-1'))).rejects.toThrow(
    /ValidationException.*Requested resource not found/,
  )
  await client.ended('cli-2')
})
