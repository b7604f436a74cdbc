import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Plane, startPlane } from '@millrace/sagemaker-local/plane'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

let folder: string
let plane: Plane
let variables: Record<string, string>

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-env-'))
  plane = await startPlane({
    directory: join(folder, 'plane'),
    port: 0,
    environment: process.env,
    hasRunner: false,
  })
  const { stdout } = await run(
    process.execPath,
    [join(root, 'packages/cli/src/main.ts'), 'env', '--proxy', '--url', plane.url],
    { env: { ...process.env, MILLRACE_CACHE: join(folder, 'cache') } },
  )
  variables = Object.fromEntries(
    [...stdout.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
  )
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** Runs Python with the proxy alone: what names no endpoint goes to the hosts of AWS. */
async function python(environment: string, script: string): Promise<unknown> {
  const { AWS_ENDPOINT_URL: _, SAGEMAKER_USER_CONFIG_OVERRIDE: __, ...rest } = variables
  const { stdout } = await run(
    join(root, '.python', environment, 'bin', 'python'),
    ['-c', script],
    {
      env: { PATH: process.env['PATH'], HOME: folder, ...rest },
      timeout: 360_000,
    },
  )
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

const SESSION = `
import json, sagemaker
session = sagemaker.Session()
bucket = session.default_bucket()
uri = session.upload_string_as_file_body('1,2', bucket=bucket, key='x/train.csv')
names = session.boto_session.client('s3').list_objects_v2(Bucket=bucket)['Contents']
role = sagemaker.get_execution_role(session)
jobs = session.sagemaker_client.list_training_jobs()['TrainingJobSummaries']
print(json.dumps([bucket, uri, [each['Key'] for each in names], role, jobs]))
`

test('an SDK that writes the host of STS out finds its account, its role and its bucket here', {
  timeout: 360_000,
}, async () => {
  expect(await python('sagemaker-2.117', SESSION)).toEqual([
    'sagemaker-us-east-1-123456789012',
    's3://sagemaker-us-east-1-123456789012/x/train.csv',
    ['x/train.csv'],
    'arn:aws:iam::123456789012:role/MillraceSageMakerRole',
    [],
  ])
})

const BOTO3 = `
import boto3, json
from botocore.exceptions import ProxyConnectionError
sts = boto3.client('sts', region_name='eu-central-1').get_caller_identity()
s3 = boto3.client('s3', region_name='eu-central-1')
s3.create_bucket(Bucket='proxied', CreateBucketConfiguration={'LocationConstraint': 'eu-central-1'})
s3.put_object(Bucket='proxied', Key='a/b.txt', Body=b'x' * 100000)
size = len(s3.get_object(Bucket='proxied', Key='a/b.txt')['Body'].read())
try:
    boto3.client('sts', endpoint_url='https://sts.example.com').get_caller_identity()
except ProxyConnectionError:
    print(json.dumps([sts['Account'], size, 'refused']))
`

test('boto3 finds the hosts of AWS here, and no others', { timeout: 360_000 }, async () => {
  expect(await python('sagemaker-2.257', BOTO3)).toEqual(['123456789012', 100_000, 'refused'])
})
