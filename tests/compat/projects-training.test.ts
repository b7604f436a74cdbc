import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@millrace/client/client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { root } from '../../tools/setup/step.mjs'
import { readRun, startMillrace } from './millrace-run.ts'
import { type RunningServer, startServer } from './server.ts'

const PROJECT = `
entry_points:
  fail: {command: "python -c 'raise SystemExit(3)'"}
  wait: {command: "bash -c 'echo waiting; sleep 1000'"}
`
const EXAMPLE = join(root, 'examples', 'projects', 'wine-quality')

let server: RunningServer
let folder: string
/** `/opt/ml` of one job. */
let ml: string

beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'millrace-training-')))
  await mkdir(join(folder, 'project'))
  await writeFile(join(folder, 'project', 'MLproject'), PROJECT)
  execFileSync('tar', ['-czf', join(folder, 'code.tar.gz'), '-C', join(folder, 'project'), '.'])
  execFileSync('tar', ['-czf', join(folder, 'example.tar.gz'), '-C', EXAMPLE, '.'])
  server = await startServer()
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})
beforeEach(async () => {
  ml = await mkdtemp(join(folder, 'ml-'))
  await mkdir(join(ml, 'input', 'config'), { recursive: true })
})

async function start(hyperparameters: Record<string, string>, environment = {}) {
  const all = {
    sagemaker_submit_directory: JSON.stringify(`file://${folder}/code.tar.gz`),
    'sagemaker_mlflow_run_no-conda': 'null',
    ...hyperparameters,
  }
  await writeFile(join(ml, 'input', 'config', 'hyperparameters.json'), JSON.stringify(all))
  return startMillrace(folder, ['train'], {
    SAGEMAKER_BASE_DIR: ml,
    MLFLOW_TRACKING_URI: server.url,
    ...environment,
  })
}

async function trained(hyperparameters: Record<string, string>, environment = {}) {
  const { code, output } = await (await start(hyperparameters, environment)).ended
  const failure = join(ml, 'output', 'failure')
  const reason = existsSync(failure) ? await readFile(failure, 'utf8') : undefined
  return { code, output, reason }
}

async function newRun(): Promise<string> {
  const { run } = await createClient({ baseUrl: server.url }).runs.create({
    experiment_id: '0',
    tags: [{ key: 'mlflow.source.name', value: 'where it is from' }],
  })
  return run.info.run_id
}

test('a job is one run with its parameters, and its artifacts are where the model is packed from', async () => {
  const { experiment_id } = await createClient({ baseUrl: server.url }).experiments.create({
    name: 'second',
  })
  const job = {
    TRAINING_JOB_NAME: 'a-job',
    TRAINING_JOB_ARN: 'arn:aws:sagemaker:eu-west-1:000000000000:training-job/a-job',
  }
  const { code, output, reason } = await trained(
    {
      // As text; all others are JSON.
      sagemaker_submit_directory: `file://${folder}/example.tar.gz`,
      alpha: '0.25',
      sagemaker_program: '"x.py"',
      // What the README of the image says, which its code never reads.
      sagemaker_mlflow_experiment_id: experiment_id,
    },
    job,
  )
  const { runs = [] } = await createClient({ baseUrl: server.url }).runs.search({
    experiment_ids: [experiment_id],
  })
  const run = await readRun(server.url, runs[0]?.info.run_id ?? '')
  const kept = join(ml, 'model', 'mlflow_run_artifacts')

  expect({ code, reason, count: runs.length }).toEqual({ code: 0, reason: undefined, count: 1 })
  expect(run.info.status).toBe('FINISHED')
  expect(run.params).toEqual({ alpha: '0.25', l1_ratio: '0.1', data: 'data.csv' })
  expect(run.tags).toMatchObject({
    'mlflow.source.type': 'PROJECT',
    'mlflow.source.name': `file://${folder}/example.tar.gz`,
    'sagemaker.training_job_name': job.TRAINING_JOB_NAME,
    'sagemaker.training_job_arn': job.TRAINING_JOB_ARN,
    'millrace.training.warnings': expect.stringMatching(/sagemaker_mlflow_experiment_id is taken/),
  })
  expect(output).toMatch(/alpha=0\.25 l1_ratio=0\.1 rmse=\d/)
  expect((await readdir(kept)).sort()).toEqual(['logs', 'model', 'notes'])
  expect(await readFile(join(kept, 'notes', 'coefficients.txt'), 'utf8')).toMatch(/alcohol/)
  expect(await readFile(join(kept, 'model', 'MLmodel'), 'utf8')).toMatch(/python_function/)
}, 360_000)

describe('the failure file and the exit code say', () => {
  test('that the project failed, in the run that was given', async () => {
    const run_id = await newRun()
    const { code, reason } = await trained({
      'sagemaker_mlflow_run_entry-point': '"fail"',
      'sagemaker_mlflow_run_run-id': `"${run_id}"`,
    })

    expect({ code, reason }).toEqual({ code: 3, reason: 'The command ended with exit code 3.' })
    const run = await readRun(server.url, run_id)
    expect(run.info.status).toBe('FAILED')
    expect(run.tags['mlflow.source.name']).toBe('where it is from')
  })

  test.each<[string, Record<string, string>, Record<string, string>, RegExp]>([
    [
      'no server',
      {},
      { MLFLOW_TRACKING_URI: 'http://127.0.0.1:9' },
      /No tracking server answers at http:\/\/127\.0\.0\.1:9/,
    ],
    [
      'no address of a server',
      {},
      { MLFLOW_TRACKING_URI: '' },
      /There is no tracking server to log/,
    ],
    ['no code', { sagemaker_submit_directory: '""' }, {}, /sagemaker_submit_directory/],
    [
      'no conda',
      { 'sagemaker_mlflow_run_no-conda': 'false' },
      { CONDA_TRAINING_ENV: 'training', MLFLOW_CONDA_HOME: '/none' },
      /There is no conda, mamba or micromamba in \/none\/bin/,
    ],
  ])('%s', async (_what, hyperparameters, environment, sentence) => {
    const run_id = await newRun()
    const { code, reason } = await trained(
      { 'sagemaker_mlflow_run_run-id': run_id, ...hyperparameters },
      environment,
    )
    const { info, tags } = await readRun(server.url, run_id)

    expect(code).toBe(1)
    expect(reason).toMatch(sentence)
    if (!('MLFLOW_TRACKING_URI' in environment)) {
      expect(info.status).toBe('FAILED')
      expect(tags['millrace.project.failureReason']).toBe(reason)
    }
    expect(existsSync(join(ml, 'model', 'mlflow_run_artifacts'))).toBe(false)
  })

  test.each([
    ['training', undefined, /There is no mlflow in conda environment 'training'/],
    ['other', undefined, /There is no conda environment 'other' in this image/],
  ])('what the conda environment %s lacks', async (name, _unused, sentence) => {
    const bin = join(ml, 'conda', 'bin')
    const prefix = join(ml, 'conda', 'envs', 'training')
    await mkdir(bin, { recursive: true })
    await mkdir(prefix, { recursive: true })
    const program = `#!/usr/bin/env python3
import json, sys
if sys.argv[1:3] == ["env", "list"]:
    print(json.dumps({"envs": [${JSON.stringify(prefix)}]}))
elif sys.argv[1] == "run":
    sys.exit("ModuleNotFoundError: No module named 'mlflow'")
`
    await writeFile(join(bin, 'conda'), program, { mode: 0o755 })
    const { code, reason } = await trained(
      { 'sagemaker_mlflow_run_no-conda': 'false' },
      { CONDA_TRAINING_ENV: name, MLFLOW_CONDA_HOME: join(ml, 'conda') },
    )

    expect(code).toBe(1)
    expect(reason).toMatch(sentence)
  })
})

test('a job that is stopped is a run that was KILLED', async () => {
  const run_id = await newRun()
  const started = await start({
    'sagemaker_mlflow_run_entry-point': 'wait',
    'sagemaker_mlflow_run_run-id': run_id,
  })
  await started.printed(/waiting/)
  started.child.kill('SIGTERM')

  expect((await started.ended).code).toBe(143)
  expect((await readRun(server.url, run_id)).info.status).toBe('KILLED')
})
