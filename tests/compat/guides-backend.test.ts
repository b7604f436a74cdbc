import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createClient } from '@millrace/client/client'
import { type Plane, startPlane } from '@millrace/sagemaker-local/plane'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pythonOf } from '../../tools/setup/python-environments.ts'
import { root } from '../../tools/setup/step.mjs'
import { readRun, startRun } from './millrace-run.ts'
import { type RunningServer, startServer } from './server.ts'

const PROJECT = `
name: guide
entry_points:
  main:
    parameters: {alpha: {type: float, default: 0.5}, note: string, data: {type: path, default: data.csv}}
    command: "sh show.sh {alpha} {note} {data}"
  fail: {command: "sh -c 'echo about to fail; exit 3'"}
  wait: {command: "sh -c 'echo waiting; exec sleep 1000'"}
`
const SHOW =
  'echo "alpha=$1 note=$2 rows=$(wc -l < "$3")"; test -e .git || echo "run=$MLFLOW_RUN_ID"\n'

/** The control script of the image's README, whose key for the experiment its code never read. */
const CONTROL = `
import sys, tarfile
import boto3, sagemaker
from sagemaker.estimator import Estimator

image, experiment_id = sys.argv[1:]
bucket = "sagemaker-us-east-1-123456789012"
boto3.client("s3").create_bucket(Bucket=bucket)
session = sagemaker.Session(boto_session=boto3.Session())
session._default_bucket = bucket
with tarfile.open("code.tar.gz", "w:gz") as tar:
    tar.add("project", arcname=".")
code = session.upload_data("code.tar.gz", key_prefix="submitted_code")
place = (
    {"image_name": image, "train_instance_count": 1, "train_instance_type": "ml.m5.large"}
    if sagemaker.__version__.startswith("1.")
    else {"image_uri": image, "instance_count": 1, "instance_type": "ml.m5.large"}
)
estimator = Estimator(
    role="arn:aws:iam::123456789012:role/MillraceSageMakerRole",
    sagemaker_session=session,
    hyperparameters={
        "sagemaker_submit_directory": code,
        "sagemaker_mlflow_run_no-conda": "null",
        "sagemaker_mlflow_experiment_id": experiment_id,
        "alpha": 0.25,
        "note": "from the SDK",
    },
    **place
)
estimator.fit()
print("model data:", estimator.model_data)
`

let folder: string
let server: RunningServer
let plane: Plane

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'millrace-backend-')))
  const main = join(root, 'packages', 'cli', 'src', 'main.ts')
  await mkdir(join(folder, 'image'))
  await writeFile(
    join(folder, 'image', 'train'),
    `#!/bin/sh\nexec '${process.execPath}' '${main}' train\n`,
    { mode: 0o755 },
  )
  await mkdir(join(folder, 'project', '.git'), { recursive: true })
  await writeFile(join(folder, 'project', 'MLproject'), PROJECT)
  await writeFile(join(folder, 'project', 'show.sh'), SHOW)
  await writeFile(join(folder, 'project', 'data.csv'), '1\n2\n3\n')
  server = await startServer()
  plane = await startPlane({
    trackingUri: server.url,
    directory: join(folder, 'plane'),
    port: 0,
    environment: process.env,
    places: 3,
  })
}, 360_000)
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

function submit(args: string[], config: Record<string, unknown> = {}) {
  const backend = { image: `local:${folder}/image`, role: 'somebody', ...config }
  const settings = ['-b', 'sagemaker', '--env-manager', 'local', '-c', JSON.stringify(backend)]
  return startRun(folder, ['project', ...settings, ...args], {
    MLFLOW_TRACKING_URI: server.url,
    AWS_ENDPOINT_URL: plane.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'millrace',
    AWS_SECRET_ACCESS_KEY: 'millrace',
  })
}

const runIdIn = (output: string) => /Run (\w{32}) /.exec(output)?.[1] ?? output

test('a project is a training job with its parameters, log and model, in the run that was made for it', async () => {
  const { code, output } = await submit(['-P', 'note=two words "null"', '-P', 'alpha=1e-3']).ended
  const run = await readRun(server.url, runIdIn(output))

  expect(output).toContain('alpha=1e-3 note=two words "null" rows=3\n')
  expect(output).toContain(`run=${run.info.run_id}\n`)
  expect({ code, status: run.info.status }).toEqual({ code: 0, status: 'FINISHED' })
  expect(run.params).toEqual({ alpha: '1e-3', note: `'two words "null"'`, data: 'data.csv' })
  expect(run.tags).toMatchObject({
    'mlflow.project.backend': 'sagemaker',
    'mlflow.source.name': join(folder, 'project'),
    'sagemaker.training_job_name': expect.stringMatching(/^guide-\d{4}-/),
    'sagemaker.training_job_arn': expect.stringMatching(/:training-job\/guide-/),
    'sagemaker.model_data': expect.stringMatching(/^s3:\/\/sagemaker-us-east-1-.*model\.tar\.gz$/),
  })
  const { runs = [] } = await createClient({ baseUrl: server.url }).runs.search({
    experiment_ids: ['0'],
  })
  expect(runs.map(({ info }) => info.run_id)).toEqual([run.info.run_id])
}, 360_000)

test('the exit code, the end and the reason of the project are those of the job', async () => {
  const { code, output } = await submit(['-e', 'fail']).ended
  const run = await readRun(server.url, runIdIn(output))

  expect(output).toContain('about to fail\n')
  expect({ code, status: run.info.status }).toEqual({ code: 3, status: 'FAILED' })
  expect(run.tags['millrace.project.failureReason']).toMatch(
    /^Training job guide-.*failed.*exit code 3/s,
  )
}, 360_000)

test.each<[string, Record<string, string>, RegExp]>([
  ['a bucket that is missing', { bucket: 'no-such-bucket' }, /There is no bucket no-such-bucket: /],
  ['a role that is none', { role: 'arn:aws:iam::1:role/x' }, /SageMaker refuses job .*role/i],
  [
    'an image that is not there',
    { image: '123456789012.dkr.ecr.us-east-1.amazonaws.com/none:1' },
    /none:1/,
  ],
])('%s is the reason of a FAILED run and exit code 1', async (_what, config, sentence) => {
  const api = createClient({ baseUrl: server.url })
  const { run } = await api.runs.create({ experiment_id: '0' })
  const { run_id } = run.info
  const { code, output } = await submit(['-P', 'note=x', '--run-id', run_id], config).ended
  const { info, tags } = await readRun(server.url, run_id)

  expect(output).toMatch(sentence)
  expect({ code, status: info.status }).toEqual({ code: 1, status: 'FAILED' })
  expect(tags['millrace.project.failureReason']).toMatch(sentence)
})

test('Ctrl-C stops the job, and the run is KILLED', async () => {
  const started = submit(['-e', 'wait'])
  await started.printed(/^waiting$/m)
  started.child.kill('SIGINT')
  const { code, output } = await started.ended
  const run = await readRun(server.url, runIdIn(output))

  expect(output).toMatch(/Training job \S+: Stopped/)
  expect({ code, status: run.info.status }).toEqual({ code: 130, status: 'KILLED' })
}, 360_000)

test.each(['sagemaker-1.72', 'sagemaker-2.257'] as const)(
  'the control script of the old image runs a project with the client %s',
  async (client) => {
    const api = createClient({ baseUrl: server.url })
    const { experiment_id } = await api.experiments.create({ name: client })
    await writeFile(join(folder, 'control.py'), CONTROL)
    const { stdout } = await promisify(execFile)(
      pythonOf(client),
      ['control.py', `local:${folder}/image`, experiment_id],
      {
        cwd: folder,
        env: {
          PATH: process.env['PATH'],
          HOME: folder,
          AWS_ENDPOINT_URL: plane.url,
          AWS_ACCESS_KEY_ID: 'millrace',
          AWS_SECRET_ACCESS_KEY: 'millrace',
          AWS_DEFAULT_REGION: 'us-east-1',
          AWS_REGION: 'us-east-1',
          NO_PROXY: '127.0.0.1',
        },
      },
    )
    const { runs = [] } = await api.runs.search({ experiment_ids: [experiment_id] })
    const run = await readRun(server.url, runs[0]?.info.run_id ?? '')

    expect(stdout).toContain('alpha=0.25 note=from the SDK rows=3')
    expect(stdout).toMatch(/model data: s3:\/\/\S+model\.tar\.gz/)
    expect(run.info.status).toBe('FINISHED')
    expect(run.tags['millrace.training.warnings']).toMatch(
      /sagemaker_mlflow_experiment_id is taken/,
    )
  },
  400_000,
)
