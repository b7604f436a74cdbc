import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@millrace/client/client'
import { type Plane, startPlane } from '@millrace/sagemaker-local/plane'
import { afterAll, beforeAll, expect, test } from 'vitest'
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
  'echo "alpha=$1 note=$2 rows=$(wc -l < "$3")"; test ! -e .git && echo "run=$MLFLOW_RUN_ID"\n'

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
}, 120_000)
afterAll(async () => {
  await plane?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
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
}, 120_000)

test('the exit code, the end and the reason of the project are those of the job', async () => {
  const { code, output } = await submit(['-e', 'fail']).ended
  const run = await readRun(server.url, runIdIn(output))

  expect(output).toContain('about to fail\n')
  expect({ code, status: run.info.status }).toEqual({ code: 3, status: 'FAILED' })
  expect(run.tags['millrace.project.failureReason']).toMatch(
    /^Training job guide-.*failed.*exit code 3/s,
  )
}, 120_000)

test('Ctrl-C stops the job, and the run is KILLED', async () => {
  const started = submit(['-e', 'wait'])
  await started.printed(/^waiting$/m)
  started.child.kill('SIGINT')
  const { code, output } = await started.ended
  const run = await readRun(server.url, runIdIn(output))

  expect(output).toMatch(/Training job \S+: Stopped/)
  expect({ code, status: run.info.status }).toEqual({ code: 130, status: 'KILLED' })
}, 120_000)
