import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ApiError } from '@millrace/api/errors'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningServer, startServer } from '../../../tests/compat/server.ts'
import {
  ensurePythonEnvironment,
  missingPython,
  pythonOf,
} from '../../../tools/setup/python-environments.ts'
import { S3_CREDENTIALS, startS3Server } from '../../artifacts/test/s3-servers.ts'
import { type FetchOptions, fetchModel, readFetchOptions } from '../src/fetch-model.ts'
import { readModel } from '../src/mlmodel.ts'
import type { TrackingServer } from '../src/tracking-server.ts'

const CLIENT = 'mlflow-3.17.2'
const LOGGED_LIMIT_MS = 300_000

Object.assign(process.env, S3_CREDENTIALS)

interface Logged {
  run: string
  model: string
  /** Where the first version's files are. */
  location: string
}

let folder: string
const started = new AsyncDisposableStack()

beforeAll(async () => {
  if (!(await ensurePythonEnvironment(CLIENT))) throw new Error(missingPython(CLIENT))
  folder = await mkdtemp(join(tmpdir(), 'millrace-logged-'))
  started.defer(() => rm(folder, { recursive: true }))
})
afterAll(() => started.disposeAsync())

async function logModels(server: RunningServer, env: Record<string, string>): Promise<Logged> {
  const script = join(import.meta.dirname, 'log_models.py')
  const { stdout } = await promisify(execFile)(pythonOf(CLIENT), [script], {
    cwd: await mkdtemp(join(folder, 'logged-')),
    env: {
      ...process.env,
      ...env,
      MLFLOW_TRACKING_URI: server.url,
      MLFLOW_DISABLE_TELEMETRY: 'true',
      GIT_PYTHON_REFRESH: 'quiet',
    },
  })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Logged
}

describe.each(['behind the proxy', 'in S3'])('a model that a stock client logged %s', (where) => {
  const isDirect = where === 'in S3'
  let tracking: TrackingServer
  let names: Logged
  let options: FetchOptions
  beforeAll(async () => {
    const s3 = isDirect ? started.use(await startS3Server('moto')) : undefined
    const env = s3 ? { MLFLOW_S3_ENDPOINT_URL: s3.endpoint } : {}
    const args = s3 ? ['--default-artifact-root', `s3://${s3.bucket}/kept`] : []
    const server = started.use(await startServer('millrace', { args, env }))
    names = await logModels(server, env)
    tracking = { url: server.url, headers: {} }
    options = readFetchOptions({ ...process.env, ...env, MILLRACE_CACHE: folder })
  }, LOGGED_LIMIT_MS)

  test.each([
    ['by version', () => 'models:/constant/1', true],
    ['by alias', () => 'models:/constant@champion', true],
    ['by stage', () => 'models:/constant/production', true],
    ['by its location', () => names.location, true],
    ['by its own id', () => `models:/${names.model}`, true],
    ['by its run and name', () => `runs:/${names.run}/model`, true],
    ['as the latest version', () => 'models:/constant/latest', false],
    ['by its run and path', () => `runs:/${names.run}/nested/old`, false],
  ])('is found %s', async (_how, uri, isLogged) => {
    const local = await fetchModel(uri(), tracking, options)
    const model = await readModel(local.directory)

    expect(model.flavors['python_function']).toBeDefined()
    expect(model.modelId === names.model).toBe(isLogged)
    expect(existsSync(join(local.directory, 'python_model.pkl'))).toBe(true)
    await local[Symbol.asyncDispose]()
    expect(existsSync(local.directory)).toBe(false)
  })

  if (isDirect) {
    test('is found by its location without a tracking server', async () => {
      await using local = await fetchModel(names.location, undefined, options)

      expect((await readModel(local.directory)).modelId).toBe(names.model)
    })

    test('is kept for the next time, once', async () => {
      await using _model = await fetchModel(names.location, undefined, options)

      const versions = await readdir(join(folder, 'models'))
      // The logged model, which every name but one stands for, and the old one in the run.
      expect(versions).toHaveLength(2)
    })

    test('is missed by name where nothing is, and in a bucket that is not there', async () => {
      const [, bucket = ''] = /^s3:\/\/([^/]+)/.exec(names.location) ?? []
      for (const [uri, message] of [
        [`s3://${bucket}/none`, `There are no artifacts at 's3://${bucket}/none'.`],
        [
          `s3://${bucket}/kept`,
          `There is no model at 's3://${bucket}/kept': it has no file MLmodel.`,
        ],
        ['s3://no-such-bucket-of-ours/m', "There is no bucket 'no-such-bucket-of-ours' in S3."],
      ] as const) {
        await expect(fetchModel(uri, undefined, options)).rejects.toThrow(message)
      }
    })
  }

  test.each([
    ['models:/none/1', /none/],
    ['models:/constant/99', /constant/],
    ['models:/constant@none', /none/],
    ['models:/constant/Staging', /constant.*Staging/],
    ['models:/m-none', /m-none/],
    ['runs:/none/model', /none/],
  ])('is told from what is not there: %s', async (uri, message) => {
    const found = fetchModel(uri, tracking, options)

    await expect(found).rejects.toThrow(message)
    await expect(found).rejects.toBeInstanceOf(ApiError)
  })

  test('is told from what is not in its run', async () => {
    await expect(fetchModel(`runs:/${names.run}/none`, tracking, options)).rejects.toThrow(
      `Run '${names.run}' has no model at 'none'.`,
    )
  })
})

test('what only a server knows is refused without one', async () => {
  await expect(fetchModel('models:/constant/1', undefined)).rejects.toThrow(
    /known to a tracking server only: set MLFLOW_TRACKING_URI/,
  )
})

test('a directory of this machine is used as it is', async () => {
  await using local = await fetchModel(folder, undefined)

  expect(local.directory).toBe(await realpath(folder))
  await local[Symbol.asyncDispose]()
  expect(existsSync(local.directory)).toBe(true)
})
