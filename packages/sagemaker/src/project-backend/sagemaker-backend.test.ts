import type { ProjectJob } from '@millrace/projects/backend'
import { expect, test } from 'vitest'
import { endingOf } from './follow-job.ts'
import { sagemakerBackend } from './sagemaker-backend.ts'
import { jobName } from './training-job-request.ts'

const LOCAL = { AWS_ENDPOINT_URL: 'http://127.0.0.1:5055' }

/** What `check` looks at of a job. */
function job(changes: Record<string, unknown> = {}): ProjectJob {
  return {
    project: { directory: import.meta.dirname, environment: { kind: 'none' } },
    entryPoint: { name: 'main', parameters: new Map([['data', { type: 'path' }]]) },
    parameters: { declared: new Map(), extra: new Map() },
    config: { image: 'i' },
    trackingUri: 'http://127.0.0.1:5000',
    environment: LOCAL,
    buildImage: false,
    dockerArgs: new Map(),
    ...changes,
  } as unknown as ProjectJob
}

const given = (name: string, value: string) => ({
  parameters: { declared: new Map([[name, value]]), extra: new Map() },
})

test.each<[string, Record<string, unknown>, RegExp]>([
  [
    'no image',
    { config: {} },
    /image: names the training image and is missing\. It takes image, role/,
  ],
  ['an unknown setting', { config: { image: 'i', instance: 'x' } }, /instance/],
  ['half a VPC', { config: { image: 'i', subnets: ['s'] } }, /subnets and security_group_ids/],
  [
    'less time to wait than to run',
    { config: { image: 'i', max_wait_seconds: 60 } },
    /max_wait_seconds 60, which must be at least its max_run_seconds, 86400/,
  ],
  [
    'a docker_env',
    { project: { directory: '/', environment: { kind: 'docker' } } },
    /has a docker_env/,
  ],
  ['--build-image', { buildImage: true }, /millrace images build training/],
  ['a file of this machine', given('data', '/etc/hostname'), /\/etc\/hostname, which is not in/],
  ['a file that climbs out', given('data', '../images'), /\.\.\/images, which is not in/],
  ['a file that is not there', given('data', 'none.csv'), /none\.csv, which is not in the project/],
  ['a name of SageMaker', given('sagemaker_program', 'x'), /a name that SageMaker keeps/],
  ['a value that is too long', given('text', 'x'.repeat(2_500)), /text has 2502 characters/],
  ['a server that AWS cannot reach', { environment: {} }, /which no instance of AWS reaches/],
])('refuses %s before there is a run', (_what, changes, sentence) => {
  expect(() => sagemakerBackend.check?.(job(changes))).toThrow(sentence)
})

test.each(['s3://bucket/a.csv', 'sagemaker-backend.ts', '/opt/ml/input/data/train/a.csv'])(
  'takes the path %s, which a job can see',
  (value) => {
    expect(sagemakerBackend.check?.(job(given('data', value)))).toBeUndefined()
  },
)

test.each([
  ['Completed', 'Completed', undefined, { status: 'FINISHED', exitCode: 0 }],
  ['Failed', 'Failed', 'AlgorithmError: no, exit code: 4', { status: 'FAILED', exitCode: 4 }],
  ['Failed', 'Failed', 'InternalServerError', { status: 'FAILED', exitCode: 1 }],
  ['Stopped', 'MaxRuntimeExceeded', undefined, { status: 'KILLED', exitCode: 143 }],
] as const)('a job that is %s (%s, %s) ends its run so', (status, secondary, reason, ending) => {
  const job = {
    TrainingJobStatus: status,
    SecondaryStatus: secondary,
    ...(reason !== undefined && { FailureReason: reason }),
  }
  expect(endingOf('j', job)).toMatchObject(ending)
})

test.each([
  ['My project!', 'My-project-2026-01-02-03-04-05-006'],
  ['_', 'project-2026-01-02-03-04-05-006'],
  ['x'.repeat(90), `${'x'.repeat(39)}-2026-01-02-03-04-05-006`],
])('the job of %s has a name that SageMaker takes', (base, name) => {
  expect(jobName(base, new Date('2026-01-02T03:04:05.006Z'))).toBe(name)
})
