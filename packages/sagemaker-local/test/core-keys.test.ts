import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'
import { ListTrainingJobsCommand, SageMakerClient } from '@aws-sdk/client-sagemaker'
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSession, findKey } from '../src/auth/session-credentials.ts'
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

describe('a session of a role', () => {
  const RoleArn = 'arn:aws:iam::123456789012:role/anybody'
  async function assume(credentials: typeof key & { sessionToken?: string }) {
    const sts = new STSClient({ ...running.client, credentials })
    const command = new AssumeRoleCommand({ RoleArn, RoleSessionName: 'nightly' })
    const { Credentials } = await sts.send(command)
    return {
      accessKeyId: Credentials?.AccessKeyId ?? '',
      secretAccessKey: Credentials?.SecretAccessKey ?? '',
      sessionToken: Credentials?.SessionToken ?? '',
    }
  }

  test.each(Object.entries(ask))('is let in by %s with its token only', async (_service, send) => {
    const session = await assume(key)

    await expect(send(session)).resolves.toMatchObject({ $metadata: { httpStatusCode: 200 } })
    const { sessionToken: _, ...bare } = session
    await expect(send(bare)).rejects.toMatchObject({
      name: expect.stringMatching(/^(InvalidToken|UnrecognizedClientException)$/),
    })
  })

  test('assumes another role', async () => {
    const second = await assume(await assume(key))
    await expect(ask.STS(second)).resolves.toMatchObject({ Account: '123456789012' })
  })

  test('ends at its time, and with its key', () => {
    const { accessKeyId, ...secrets } = createSession(key, 1_000_000)

    expect(findKey([key], () => 999_000)(accessKeyId)).toEqual(secrets)
    expect(() => findKey([key], () => 1_000_000)(accessKeyId)).toThrow(
      expect.objectContaining({ code: 'ExpiredToken' }),
    )
    expect(findKey([{ ...key, accessKeyId: 'other' }], () => 0)(accessKeyId)).toBeUndefined()
  })

  test('cannot be lengthened by its owner', () => {
    const { accessKeyId, secretAccessKey } = createSession(key, 1_000_000)
    const longer = accessKeyId.replace(/^ASIA.{8}/, 'ASIAFFFFFFFF')

    expect(findKey([key], () => 0)(longer)?.secretAccessKey).not.toBe(secretAccessKey)
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
