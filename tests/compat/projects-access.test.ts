import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { accessPolicy, type PolicyName } from '@millrace/sagemaker/access/access-policies'
import { writeLayout } from '@millrace/sagemaker/images/oci-layout'
import { writeImage } from '@millrace/sagemaker/images/write-image'
import { type Plane, startPlane } from '@millrace/sagemaker-local/plane'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pythonOf } from '../../tools/setup/python-environments.ts'
import { root } from '../../tools/setup/step.mjs'
import { startMillrace } from './millrace-run.ts'
import { type AwsCall, type CallRecorder, recordCalls } from './projects-access-calls.ts'
import { isAllowed } from './projects-access-verdict.ts'
import { type RunningServer, startServer } from './server.ts'

const ACCOUNT = '123456789012'
const ROLE = `arn:aws:iam::${ACCOUNT}:role/mlflow-sagemaker`
const SCOPE = {
  partition: 'aws',
  region: 'us-east-1',
  account: ACCOUNT,
  project: 'mlflow',
  bucket: 'mlflow-artifacts',
}
const TRAIN = `#!/usr/bin/env python3
import pathlib
print("loss=0.5", flush=True)
pathlib.Path("/opt/ml/model/loss.txt").write_text("0.5")
`
const SERVE = `#!/usr/bin/env python3
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"predictions": [1.0]}'
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
port = int(os.environ["SAGEMAKER_BIND_TO_PORT"])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
`
const LIMIT_MS = 600_000

/** What a policy gives without a call that shows the need, and why. */
const UNSEEN: Partial<Record<PolicyName, Record<string, string>>> = {
  sagemaker: {
    's3:AbortMultipartUpload': 'an upload of a large model that is stopped',
  },
  push: {
    'ecr:BatchDeleteImage': 'a tag that has to be put back',
    'ecr:GetDownloadUrlForLayer': 'ECR asks for it when a layer of another repository is used',
  },
}

let folder: string
let server: RunningServer
let plane: Plane
let recorder: CallRecorder

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'millrace-access-')))
  await chmod(folder, 0o755)
  const main = join(root, 'packages', 'cli', 'src', 'main.ts')
  await program('runs', 'train', `#!/bin/sh\nexec '${process.execPath}' '${main}' train\n`)
  await program('image', 'train', TRAIN)
  await program('image', 'serve', SERVE)
  await mkdir(join(folder, 'project'))
  await writeFile(
    join(folder, 'project', 'MLproject'),
    'name: mlflow-ours\nentry_points: {main: {command: "sh -c :"}, wait: {command: "sh -c \'echo waiting; exec sleep 1000\'"}}\n',
  )
  await mkdir(join(folder, 'model'))
  await writeFile(
    join(folder, 'model', 'MLmodel'),
    'flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n',
  )
  await writeFile(join(folder, 'data.csv'), '1\n2\n')
  server = await startServer()
  plane = await startPlane({
    trackingUri: server.url,
    directory: join(folder, 'plane'),
    port: 0,
    environment: process.env,
    roleName: 'mlflow-sagemaker',
    places: 4,
  })
  recorder = await recordCalls(plane.url)
}, 360_000)
afterAll(async () => {
  await recorder?.[Symbol.asyncDispose]()
  await plane?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

async function program(image: string, name: string, text: string): Promise<void> {
  await mkdir(join(folder, image), { recursive: true })
  await writeFile(join(folder, image, name), text, { mode: 0o755 })
}

function awsEnvironment(): Record<string, string> {
  return {
    MLFLOW_TRACKING_URI: server.url,
    AWS_ENDPOINT_URL: recorder.url,
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'millrace',
    AWS_SECRET_ACCESS_KEY: 'millrace',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
}

async function millrace(...args: string[]): Promise<string> {
  const { code, output } = await startMillrace(folder, args, awsEnvironment()).ended
  expect(code, output).toBe(0)
  return output
}

async function python(client: 'mlflow-3.17.2' | 'sagemaker-2.257', which: string): Promise<void> {
  const script = join(import.meta.dirname, 'scripts', 'project_access.py')
  const args = [
    script,
    which,
    `local:${folder}/image`,
    ROLE,
    `${folder}/model`,
    `${folder}/data.csv`,
  ]
  await promisify(execFile)(pythonOf(client), args, {
    cwd: folder,
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      NO_PROXY: '127.0.0.1',
      MLFLOW_DISABLE_TELEMETRY: 'true',
      PYTHONDONTWRITEBYTECODE: '1',
      ...awsEnvironment(),
    },
  })
}

/** What a policy allows is what was asked for: nothing is refused, and nothing is never used. */
function compare(name: PolicyName, calls: readonly AwsCall[]) {
  const policy = accessPolicy(name, SCOPE)
  const refused = calls
    .filter((asked) => !isAllowed(policy, asked))
    .map(({ action, resource }) => `${action} on ${resource}`)
  const seen = new Set(calls.map(({ action }) => action))
  const unseen = policy.Statement.flatMap(({ Action }) => Action).filter(
    (action) => !seen.has(action) && !Object.hasOwn(UNSEEN[name] ?? {}, action),
  )
  return { refused: [...new Set(refused)].sort(), unseen: [...new Set(unseen)].sort() }
}

test(
  'the policy push allows what `millrace images push` asks ECR for, and no action besides',
  async () => {
    const from = recorder.calls.length
    const layout = join(folder, 'layout')
    const image = await writeImage(
      layout,
      {
        architecture: 'amd64',
        layers: [
          {
            name: 'code',
            entries: [{ kind: 'file', path: 'code', mode: 0o644, bytes: Buffer.from('1') }],
          },
        ],
        config: {},
      },
      join(folder, 'layers'),
    )
    await writeLayout(layout, [image], 'pushed')
    const registry = `${ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com`
    // The plane says its own address for that of ECR: under this one its protocol is recorded too.
    await millrace('images', 'push', layout, `${new URL(recorder.url).host}/mlflow-tracker:1`)
    await millrace('images', 'push', layout, `${registry}/mlflow-pyfunc:3.17.2`)

    expect(compare('push', recorder.calls.slice(from))).toEqual({ refused: [], unseen: [] })
  },
  LIMIT_MS,
)

test(
  'the policy sagemaker allows all that our commands and the stock clients ask AWS for, and no action besides',
  async () => {
    const from = recorder.calls.length
    await Promise.all([ours(), python('mlflow-3.17.2', 'mlflow'), python('sagemaker-2.257', 'sdk')])

    expect(compare('sagemaker', recorder.calls.slice(from))).toEqual({ refused: [], unseen: [] })
  },
  LIMIT_MS,
)

test('the policy job allows all that SageMaker does for the jobs, models and transforms of the test before this, and no action besides', () => {
  expect(recorder.roleCalls.length).toBeGreaterThan(50)
  expect(compare('job', recorder.roleCalls)).toEqual({ refused: [], unseen: [] })
})

/** Each command that asks AWS for something, once. */
async function ours(): Promise<void> {
  const target = ['-t', 'sagemaker:/us-east-1']
  const named = [...target, '--name', 'mlflow-ours']
  const model = ['-m', join(folder, 'model')]
  const uploaded = ['-e', ROLE, '-i', `local:${folder}/image`, '--region-name', 'us-east-1']
  // Without an image it looks for the one that the test before this has pushed.
  const role = ['-C', `execution_role_arn=${ROLE}`]
  await millrace('deployments', 'create', ...named, ...model, ...role, '--plan')
  const image = ['-C', `image_url=local:${folder}/image`]
  await millrace('deployments', 'create', ...named, ...model, ...role, ...image)
  await millrace('deployments', 'list', ...target)
  await millrace('deployments', 'get', ...named)
  await writeFile(join(folder, 'input.json'), '{"inputs": [[1]]}')
  await millrace('deployments', 'predict', ...named, '-I', join(folder, 'input.json'))
  await millrace('deployments', 'update', ...named, ...model)
  await millrace('deployments', 'delete', ...named)
  const again = startMillrace(folder, ['deployments', 'delete', ...named], awsEnvironment())
  expect((await again.ended).output).toContain('There is no deployment')
  await millrace('sagemaker', 'push-model', '-n', 'mlflow-pushed-ours', ...model, ...uploaded)
  const config = {
    image: `local:${folder}/runs`,
    role: 'mlflow-sagemaker',
    checkpoint_s3_uri: `s3://sagemaker-us-east-1-${ACCOUNT}/mlflow-checkpoints`,
  }
  const run = ['run', 'project', '-b', 'sagemaker', '--env-manager', 'local']
  const trained = await millrace(...run, '-c', JSON.stringify(config))
  const [, job = ''] = /Training job (\S+) runs/.exec(trained) ?? []
  await millrace(
    'sagemaker',
    'register-as',
    'ours',
    '--training-job',
    job,
    '--region-name',
    'us-east-1',
  )
  await stopped([...run, '-e', 'wait', '-c', JSON.stringify(config)])
  const data = `s3://sagemaker-us-east-1-${ACCOUNT}/sagemaker/projects/`
  const batch = ['--input-data-type', 'S3Prefix', '-u', data, '--content-type', 'text/csv']
  const transform = ['-n', 'mlflow-batch', ...batch, '-o', `${data}answers`, '--archive', '--async']
  await millrace('sagemaker', 'deploy-transform-job', ...transform, ...model, ...uploaded)
  await millrace('sagemaker', 'terminate-transform-job', '-n', 'mlflow-batch', '-r', 'us-east-1')
  const doctor = ['doctor', 'aws', '--policy', 'sagemaker', '--policy', 'job']
  expect(await millrace(...doctor, '--endpoint-url', recorder.url)).toContain(
    `actions allowed for ${ROLE}`,
  )
}

async function stopped(args: string[]): Promise<void> {
  const started = startMillrace(folder, args, awsEnvironment())
  await started.printed(/^waiting$/m)
  started.child.kill('SIGINT')
  expect((await started.ended).code).toBe(130)
}

describe('the evaluator', () => {
  const policy = accessPolicy('sagemaker', SCOPE)
  const roleOf = (name: string) => `arn:aws:iam::${ACCOUNT}:role/${name}`
  const passed = (service: string) => ({ 'iam:PassedToService': service })

  test.each<[string, AwsCall, boolean]>([
    [
      'a job of the project',
      {
        action: 'sagemaker:CreateTrainingJob',
        resource: `arn:aws:sagemaker:us-east-1:${ACCOUNT}:training-job/mlflow-1`,
        context: {},
      },
      true,
    ],
    [
      "another project's job",
      {
        action: 'sagemaker:CreateTrainingJob',
        resource: `arn:aws:sagemaker:us-east-1:${ACCOUNT}:training-job/other`,
        context: {},
      },
      false,
    ],
    [
      'its role for SageMaker',
      {
        action: 'iam:PassRole',
        resource: roleOf('mlflow-sagemaker'),
        context: passed('sagemaker.amazonaws.com'),
      },
      true,
    ],
    [
      'its role for another service',
      {
        action: 'iam:PassRole',
        resource: roleOf('mlflow-sagemaker'),
        context: passed('ec2.amazonaws.com'),
      },
      false,
    ],
    [
      'a role of somebody else',
      {
        action: 'iam:PassRole',
        resource: roleOf('admin'),
        context: passed('sagemaker.amazonaws.com'),
      },
      false,
    ],
    [
      'files of other projects in the shared bucket',
      {
        action: 's3:GetObject',
        resource: `arn:aws:s3:::sagemaker-us-east-1-${ACCOUNT}/other/model.tar.gz`,
        context: {},
      },
      false,
    ],
  ])('finds %s allowed or not', (_what, asked, verdict) => {
    expect(isAllowed(policy, asked)).toBe(verdict)
  })
})
