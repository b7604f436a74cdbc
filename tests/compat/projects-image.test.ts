import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises'
import { arch, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createClient } from '@millrace/client/client'
import { type Plane, startPlane } from '@millrace/sagemaker-local/plane'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { trainingClient } from '../../packages/sagemaker-local/test/training-client.ts'
import { pythonOf } from '../../tools/setup/python-environments.ts'
import { readRun, startMillrace } from './millrace-run.ts'
import { type RunningServer, startServer } from './server.ts'

const IMAGE = '123456789012.dkr.ecr.us-east-1.amazonaws.com/mlflow-training:0.1.0'
const THIN = '123456789012.dkr.ecr.us-east-1.amazonaws.com/mlflow-thin:0.1.0'
const PROJECT = `
name: thrice
entry_points:
  main:
    parameters: {factor: {type: float, default: 2}}
    command: "python train.py {factor}"
`
/** Logs a model by the client of the image; it answers with a multiple of what it is given. */
const TRAIN = `
import os, sys
import mlflow
factor = sys.argv[1]
os.makedirs("model/code")
with open("model/code/multiple.py", "w") as code:
    code.write("class Model:\\n    def predict(self, frame, params=None):\\n")
    code.write("        return (frame * " + factor + ").iloc[:, 0].tolist()\\n")
    code.write("def _load_pyfunc(path):\\n    return Model()\\n")
with open("model/MLmodel", "w") as file:
    file.write("flavors:\\n  python_function:\\n    loader_module: multiple\\n    code: code\\n")
with mlflow.start_run():
    mlflow.log_metric("factor", float(factor))
    mlflow.log_artifacts("model", "model")
print("trained by", sys.executable, "with", factor)
`
/** The control script of the image's README; `serves` deploys what it has trained. */
const CONTROL = `
import sys, tarfile
import boto3, sagemaker
from sagemaker.estimator import Estimator

image, experiment_id, factor = sys.argv[1:4]
bucket = "sagemaker-us-east-1-123456789012"
boto3.client("s3").create_bucket(Bucket=bucket)
session = sagemaker.Session(boto_session=boto3.Session())
session._default_bucket = bucket
with tarfile.open("code.tar.gz", "w:gz") as tar:
    tar.add("project", arcname=".")
code = session.upload_data("code.tar.gz", key_prefix="submitted_code")
is_old = sagemaker.__version__.startswith("1.")
place = (
    {"image_name": image, "train_instance_count": 1, "train_instance_type": "ml.m5.large"}
    if is_old
    else {"image_uri": image, "instance_count": 1, "instance_type": "ml.m5.large"}
)
estimator = Estimator(
    role="arn:aws:iam::123456789012:role/MillraceSageMakerRole",
    sagemaker_session=session,
    hyperparameters={
        "sagemaker_submit_directory": code,
        "sagemaker_mlflow_run_no-conda": "null",
        "sagemaker_mlflow_run_experiment-id": experiment_id,
        "factor": factor,
    },
    **place
)
estimator.fit()
if "serves" in sys.argv:
    # There is no package index here: what the model needs is in the image.
    env = {"MILLRACE_ENV_MANAGER": "local", "PYTHONPATH": "/opt/program/lib"}
    predictor = estimator.deploy(1, "ml.m5.large", env=env)
    body = '{"dataframe_split": {"columns": ["x"], "data": [[1], [2]]}}'
    runtime = boto3.client("sagemaker-runtime")
    name = predictor.endpoint if is_old else predictor.endpoint_name
    answer = runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=body)
    print("answered", answer["Body"].read().decode())
    predictor.delete_endpoint()
`
/** Says what it was given, by whom. */
const THIN_TRAIN = `#!/usr/bin/python3
import json, os
given = {"experiment": os.environ.get("MLFLOW_EXP_NAME", "of the image")}
given.update(json.load(open("/opt/ml/input/config/hyperparameters.json")))
print("experiment", given["experiment"], flush=True)
`

let folder: string
let server: RunningServer
let plane: Plane
let jobs: Awaited<ReturnType<typeof trainingClient>>

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'millrace-image-')))
  await mkdir(join(folder, 'project'))
  await writeFile(join(folder, 'project', 'MLproject'), PROJECT)
  await writeFile(join(folder, 'project', 'train.py'), TRAIN)
  await writeFile(join(folder, 'control.py'), CONTROL)
  await mkdir(join(folder, 'thin'))
  await writeFile(join(folder, 'thin', 'train'), THIN_TRAIN, { mode: 0o755 })
  server = await startServer()
  plane = await startPlane({
    trackingUri: server.url,
    directory: join(folder, 'plane'),
    port: 0,
    environment: process.env,
    places: 3,
  })
  jobs = await trainingClient({
    url: plane.url,
    directory: folder,
    client: {
      endpoint: plane.url,
      region: 'us-east-1',
      credentials: { accessKeyId: 'millrace', secretAccessKey: 'millrace' },
      maxAttempts: 1,
    },
  })
  await addPackages(join(folder, 'packages', 'lib'))
  await build('packages', 'layout')
  await millrace('images', 'push', 'layout', IMAGE)
  await build('thin', 'thin-layout')
}, 600_000)
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

/** What MLflow's scoring takes, from a client that is there. */
async function addPackages(to: string): Promise<void> {
  const from = join(dirname(pythonOf('mlflow-3.17.2')), '..', 'lib', 'python3.11', 'site-packages')
  const isNeeded = (name: string) => /^(?:pandas|numpy|dateutil|pytz|six|tzdata)\b/.test(name)
  for (const name of (await readdir(from)).filter(isNeeded)) {
    const filter = (path: string) => !/\/(?:tests|__pycache__)$/.test(path)
    await cp(join(from, name), join(to, name), { recursive: true, filter })
  }
}

/** In the environment of whoever runs this, which may say where packages come from. */
async function build(code: string, layout: string): Promise<void> {
  const image = ['images', 'build', 'training', '--platform', architecture()]
  const args = [...image, '--code', code, '-o', layout]
  const settings = Object.entries(process.env).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  )
  const { code: exitCode, output } = await startMillrace(folder, args, Object.fromEntries(settings))
    .ended
  expect(exitCode, output).toBe(0)
}

/** Of the parts of an image with that outcome, in MiB. */
function largest(pushed: string, outcome: string): number {
  const sizes = [...pushed.matchAll(/ ([\d.]+) MiB (.+)/g)].filter(([, , said]) => said === outcome)
  return Math.max(0, ...sizes.map(([, size]) => Number(size)))
}

function architecture(): 'amd64' | 'arm64' {
  return arch() === 'arm64' ? 'arm64' : 'amd64'
}

function awsEnvironment(): Record<string, string> {
  return {
    MLFLOW_TRACKING_URI: server.url,
    AWS_ENDPOINT_URL: plane.url,
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'millrace',
    AWS_SECRET_ACCESS_KEY: 'millrace',
  }
}

async function millrace(...args: string[]): Promise<string> {
  const { code, output } = await startMillrace(folder, args, awsEnvironment()).ended
  expect(code, output).toBe(0)
  return output
}

async function control(client: 'sagemaker-1.72' | 'sagemaker-2.257', args: string[]) {
  const { stdout } = await promisify(execFile)(
    pythonOf(client),
    [join(folder, 'control.py'), IMAGE, ...args],
    {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: folder, NO_PROXY: '127.0.0.1', ...awsEnvironment() },
    },
  )
  return stdout
}

test('the training image, started by a job as `train`, runs a project with its own Python in the run of `millrace run`', async () => {
  const config = { image: IMAGE, role: 'MillraceSageMakerRole' }
  const args = ['-b', 'sagemaker', '--env-manager', 'local', '-c', JSON.stringify(config)]
  const output = await millrace('run', 'project', ...args, '-P', 'factor=3')
  const run = await readRun(server.url, /Run (\w{32}) /.exec(output)?.[1] ?? output)

  expect(output).toContain('trained by /usr/bin/python with 3\n')
  expect(run.info.status).toBe('FINISHED')
  expect(run.params).toEqual({ factor: '3' })
}, 300_000)

test.each([
  ['sagemaker-1.72', []],
  ['sagemaker-2.257', ['serves']],
] as const)(
  'the control script with the client %s trains in the image %j',
  async (client, serves) => {
    const api = createClient({ baseUrl: server.url })
    const { experiment_id } = await api.experiments.create({ name: client })
    const stdout = await control(client, [experiment_id, '4', ...serves])
    const { runs = [] } = await api.runs.search({ experiment_ids: [experiment_id] })

    expect(stdout).toContain('trained by /usr/bin/python with 4')
    expect(runs.map(({ info }) => info.status)).toEqual(['FINISHED'])
    if (serves.length > 0) expect(stdout).toMatch(/answered .*"predictions": ?\[4(?:\.0)?, 8/)
  },
  300_000,
)

describe('an image of two layers, a heavy one and that of the code', () => {
  test('is pushed by sending what of it the registry lacks, and another setting sends nothing', async () => {
    const first = await millrace('images', 'push', 'thin-layout', THIN)
    await writeFile(join(folder, 'thin', 'notes.txt'), 'changed')
    await build('thin', 'thin-layout')
    const second = await millrace('images', 'push', 'thin-layout', THIN)

    expect(largest(first, 'uploaded')).toBeGreaterThan(10)
    expect(largest(second, 'uploaded')).toBeLessThan(1)
    expect(largest(second, 'there already')).toBeGreaterThan(10)
  }, 300_000)

  test.each([
    ['of the image', {}, {}],
    ['of the job', { MLFLOW_EXP_NAME: 'of the job' }, {}],
    [
      'of the hyperparameter',
      { MLFLOW_EXP_NAME: 'of the job' },
      { experiment: 'of the hyperparameter' },
    ],
  ] as const)(
    'takes the experiment %s when that is what says it last',
    async (said, environment, given) => {
      const name = `thin-${said.replaceAll(' ', '-')}`
      await jobs.create(name, THIN, { Environment: environment, HyperParameters: given })
      await jobs.ended(name)

      expect(await jobs.lines(name)).toEqual([[`experiment ${said}`]])
    },
    120_000,
  )
})
