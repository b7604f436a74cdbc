import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'
import { ListTrainingJobsCommand, SageMakerClient } from '@aws-sdk/client-sagemaker'
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'

const key = { accessKeyId: 'team', secretAccessKey: 'a-secret-of-ours' }
let running: TestPlane

beforeAll(async () => {
  running = await startTestPlane({ hasRunner: false, accessKeys: [key] })
})
afterAll(() => running[Symbol.asyncDispose]())

const ask = {
  SageMaker: (credentials: typeof key) =>
    new SageMakerClient({ ...running.client, credentials }).send(new ListTrainingJobsCommand()),
  STS: (credentials: typeof key) =>
    new STSClient({ ...running.client, credentials }).send(new GetCallerIdentityCommand()),
  S3: (credentials: typeof key) =>
    new S3Client({ ...running.client, credentials }).send(new ListBucketsCommand()),
}

describe.each(Object.entries(ask))('with keys, %s', (service, send) => {
  test('answers who signs with one of them', async () => {
    await expect(send(key)).resolves.toMatchObject({ $metadata: { httpStatusCode: 200 } })
  })

  test('refuses who signs with another secret, or with a key that nobody has', async () => {
    await expect(send({ ...key, secretAccessKey: 'a-guess-at-it' })).rejects.toMatchObject({
      name: service === 'S3' ? 'SignatureDoesNotMatch' : 'InvalidSignatureException',
    })
    await expect(send({ ...key, accessKeyId: 'stranger' })).rejects.toMatchObject({
      name: service === 'S3' ? 'InvalidAccessKeyId' : 'UnrecognizedClientException',
    })
  })
})

test('with keys, what is not signed is refused by every protocol', async () => {
  const target = { 'x-amz-target': 'SageMaker.ListTrainingJobs' }
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const answers = await Promise.all([
    fetch(running.url, { method: 'POST', headers: target, body: '{}' }),
    fetch(running.url, { method: 'POST', headers: form, body: 'Action=GetCallerIdentity' }),
    fetch(`${running.url}/endpoints/x/invocations`, { method: 'POST', body: '1' }),
    fetch(`${running.url}/bucket/key`),
    fetch(`${running.url}/v2/`),
    fetch(`${running.url}/.aws/json`, { method: 'POST', body: '{}' }),
  ])
  expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403, 401, 403])
})
