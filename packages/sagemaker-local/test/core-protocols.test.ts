import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GetRoleCommand, IAMClient, SimulatePrincipalPolicyCommand } from '@aws-sdk/client-iam'
import { ListTagsCommand, SageMakerClient } from '@aws-sdk/client-sagemaker'
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { operations, restOperations } from '../src/operations/operations.ts'
import { startTestPlane, type TestPlane } from './start-test-plane.ts'

let running: TestPlane

beforeAll(async () => {
  running = await startTestPlane({ hasRunner: false })
})
afterAll(() => running[Symbol.asyncDispose]())

const roleArn = 'arn:aws:iam::123456789012:role/MillraceSageMakerRole'

test('everybody is a session of the role of the plane', async () => {
  const identity = await new STSClient(running.client).send(new GetCallerIdentityCommand())

  expect(identity.Account).toBe('123456789012')
  expect(identity.Arn).toBe('arn:aws:sts::123456789012:assumed-role/MillraceSageMakerRole/millrace')
})

test('a role can be assumed, and its session has the name that was asked for', async () => {
  const { AssumedRoleUser, Credentials } = await new STSClient(running.client).send(
    new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'nightly' }),
  )

  expect(AssumedRoleUser?.Arn).toBe(
    'arn:aws:sts::123456789012:assumed-role/MillraceSageMakerRole/nightly',
  )
  expect(Credentials?.Expiration?.getTime()).toBeGreaterThan(Date.now())
})

test('the role trusts SageMaker and may do everything', async () => {
  const iam = new IAMClient(running.client)
  const { Role } = await iam.send(new GetRoleCommand({ RoleName: 'MillraceSageMakerRole' }))
  const { EvaluationResults } = await iam.send(
    new SimulatePrincipalPolicyCommand({
      PolicySourceArn: roleArn,
      ActionNames: ['s3:PutObject', 'sagemaker:CreateTrainingJob'],
    }),
  )

  expect(Role?.Arn).toBe(roleArn)
  expect(decodeURIComponent(Role?.AssumeRolePolicyDocument ?? '')).toContain(
    'sagemaker.amazonaws.com',
  )
  expect(
    EvaluationResults?.map(({ EvalActionName, EvalDecision }) => [EvalActionName, EvalDecision]),
  ).toEqual([
    ['s3:PutObject', 'allowed'],
    ['sagemaker:CreateTrainingJob', 'allowed'],
  ])
})

test('the documentation lists what is served, and nothing else', async () => {
  const page = await readFile(join(import.meta.dirname, '../../../docs/sagemaker-local.md'), 'utf8')
  const section = page.split('## What it answers')[1]?.split('\nS3 and')[0] ?? ''
  const listed = [...section.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)

  const served = [...operations, ...restOperations].map(({ name }) => name)
  expect(listed.toSorted()).toEqual(served.toSorted())
})

test('an operation that is not served is refused by its name', async () => {
  const answer = await fetch(running.url, {
    method: 'POST',
    headers: {
      'x-amz-target': 'SageMaker.CreateFeatureGroup',
      'content-type': 'application/x-amz-json-1.1',
    },
    body: '{}',
  })

  expect(answer.status).toBe(400)
  expect(answer.headers.get('x-amzn-requestid')).toMatch(/^[0-9a-f-]{36}$/)
  expect(await answer.json()).toMatchObject({
    __type: 'UnknownOperationException',
    message: expect.stringContaining('SageMaker.CreateFeatureGroup'),
  })
})

test('a member that AWS would refuse is refused in its words', async () => {
  const sagemaker = new SageMakerClient(running.client)

  await expect(
    sagemaker.send(new ListTagsCommand({ ResourceArn: 'arn:aws:s3:::bucket', MaxResults: 3 })),
  ).rejects.toMatchObject({
    name: 'ValidationException',
    message: expect.stringMatching(
      /^2 validation errors detected: Value 'arn:aws:s3:::bucket' at 'resourceArn' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws.*; Value '3' at 'maxResults' failed to satisfy constraint: Member must have value greater than or equal to 50$/,
    ),
  })
})
