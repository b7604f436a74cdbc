import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Plane, startPlane } from '@millrace/sagemaker-local/plane'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkSageMaker } from './doctor-sagemaker-checks.ts'

let folder: string
let plane: Plane
let good: NodeJS.ProcessEnv

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-doctor-'))
  plane = await startPlane({
    directory: join(folder, 'plane'),
    port: 0,
    environment: process.env,
    hasRunner: false,
    accessKeys: [{ accessKeyId: 'team', secretAccessKey: 'a-secret-of-ours' }],
  })
  const config = join(folder, 'config.yaml')
  await writeFile(config, 'DefaultS3Bucket: sagemaker-us-east-1-123456789012\n')
  good = {
    PATH: process.env['PATH'],
    AWS_ENDPOINT_URL: plane.url,
    AWS_ACCESS_KEY_ID: 'team',
    AWS_SECRET_ACCESS_KEY: 'a-secret-of-ours',
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    SAGEMAKER_USER_CONFIG_OVERRIDE: config,
  }
})
afterAll(async () => {
  await plane[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** What is wrong with the shell, the machine apart, by what it is about. */
async function problems(changes: NodeJS.ProcessEnv) {
  const environment = { ...good, ...changes }
  const findings = await checkSageMaker({ environment, dataDir: folder })
  const machine = /^(disk|isolation|Python)/
  return Object.fromEntries(
    findings
      .filter(({ about, advice }) => advice !== undefined && !machine.test(about))
      .map(({ about, found }) => [about, found]),
  )
}

test('a shell that millrace env has set up needs nothing', async () => {
  expect(await problems({})).toEqual({})
})

test.each<[string, NodeJS.ProcessEnv, Record<string, unknown>]>([
  [
    'requests that would go to AWS',
    { AWS_ENDPOINT_URL_S3: 'https://s3.amazonaws.com' },
    { AWS_ENDPOINT_URL: 'AWS_ENDPOINT_URL_S3 leads to https://s3.amazonaws.com' },
  ],
  [
    'keys that are not those of the control plane',
    { AWS_SECRET_ACCESS_KEY: 'a-guess-at-it' },
    { caller: expect.stringContaining('signature we calculated does not match') },
  ],
  [
    'a profile beside the keys',
    { AWS_PROFILE: 'work' },
    { credentials: 'AWS_PROFILE is work too' },
  ],
  [
    'two regions',
    { AWS_DEFAULT_REGION: 'eu-west-1' },
    { region: 'AWS_REGION is us-east-1, AWS_DEFAULT_REGION eu-west-1' },
  ],
  [
    'an SDK that is not told of its bucket',
    { SAGEMAKER_USER_CONFIG_OVERRIDE: '/nowhere/config.yaml' },
    { 'SDK configuration': '/nowhere/config.yaml is not there' },
  ],
  [
    'programs that confine jobs and are missing',
    { PATH: '/nowhere' },
    { programs: 'unshare, mount, prlimit, setpriv, taskset not found' },
  ],
  [
    'a control plane that does not answer',
    { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' },
    { 'control plane': 'nothing answers at http://127.0.0.1:1' },
  ],
])('names %s', async (_name, changes, expected) => {
  expect(await problems(changes)).toEqual(expected)
})
