import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import {
  CreateTrainingJobCommand,
  DescribeTrainingJobCommand,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker'
import { PAGES_PATH, PAGES_TOKEN_HEADER } from '@millrace/api/sagemaker-pages'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestPlane, type TestPlane } from '../../test/start-test-plane.ts'

let running: TestPlane
let sagemaker: SageMakerClient

beforeAll(async () => {
  running = await startTestPlane({ pagesToken: 'secret', hasRunner: false })
  sagemaker = new SageMakerClient(running.client)
  const s3 = new S3Client({ ...running.client, forcePathStyle: true })
  await s3.send(new CreateBucketCommand({ Bucket: 'out' }))
  for (const TrainingJobName of ['one', 'two']) {
    await sagemaker.send(
      new CreateTrainingJobCommand({
        TrainingJobName,
        RoleArn: 'arn:aws:iam::123456789012:role/anybody',
        AlgorithmSpecification: {
          TrainingImage: 'anything:1',
          TrainingInputMode: 'File',
          ContainerEntrypoint: ['true'],
        },
        HyperParameters: { lr: '1', sagemaker_job_name: '"one"' },
        OutputDataConfig: { S3OutputPath: 's3://out/' },
        ResourceConfig: { InstanceType: 'ml.m5.large', InstanceCount: 1, VolumeSizeInGB: 1 },
        Tags: [{ Key: 'team', Value: 'blue' }],
      }),
    )
  }
})

afterAll(() => running[Symbol.asyncDispose]())

async function ask(
  path: string,
  { body, token = 'secret' }: { body?: object; token?: string } = {},
) {
  const answer = await fetch(running.url + PAGES_PATH + path, {
    headers: { [PAGES_TOKEN_HEADER]: token, 'content-type': 'application/json' },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
}

describe('what pages are told', () => {
  test('is told to nobody without the token', async () => {
    for (const token of ['', 'secrets', 'Secret']) {
      expect(await ask('/training-jobs', { token })).toMatchObject({
        status: 403,
        body: { error_code: 'PERMISSION_DENIED' },
      })
    }
  })

  test('is of jobs the newest first, and those whose names match', async () => {
    expect((await ask('/training-jobs')).body).toMatchObject({
      jobs: [{ name: 'two' }, { name: 'one', status: 'InProgress', image: 'anything:1' }],
    })
    expect((await ask('/training-jobs?contains=on')).body).toMatchObject({
      jobs: [{ name: 'one' }],
    })
  })

  test.each(['/training-jobs/no', '/tuning-jobs/no', '/transform-jobs/no', '/endpoints/no'])(
    '%s is answered 404 with the name',
    async (path) => {
      expect(await ask(path)).toMatchObject({
        status: 404,
        body: { error_code: 'RESOURCE_DOES_NOT_EXIST', message: expect.stringContaining("'no'") },
      })
    },
  )

  test('a retry has the changes and the tags, and is a job of its own', async () => {
    const retried = await ask('/training-jobs/one/retry', {
      body: { name: 'one-2', hyperParameters: { lr: '2', sagemaker_job_name: '"one"' } },
    })

    expect(retried).toEqual({ status: 200, body: { name: 'one-2' } })
    const made = await sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: 'one-2' }))
    expect(made.HyperParameters).toEqual({ lr: '2', sagemaker_job_name: '"one-2"' })
    expect(made.TrainingJobArn).toMatch(/one-2$/)
    expect((await ask('/training-jobs/one-2')).body).toMatchObject({ tags: { team: 'blue' } })
  })

  test('a refusal of an operation comes as it is, with a code that pages know', async () => {
    expect(await ask('/training-jobs/one/delete', { body: {} })).toMatchObject({
      status: 409,
      body: { error_code: 'RESOURCE_CONFLICT', message: expect.stringContaining('stop it') },
    })
    expect(await ask('/training-jobs/one/retry', { body: { name: 'no good' } })).toMatchObject({
      status: 400,
      body: { error_code: 'INVALID_PARAMETER_VALUE' },
    })
  })
})
