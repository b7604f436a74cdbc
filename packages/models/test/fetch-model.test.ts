import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
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
import { fetchModel } from '../src/fetch-model.ts'
import { readModel } from '../src/mlmodel.ts'

const CLIENT = 'mlflow-3.17.2'
const LOGGED_LIMIT_MS = 300_000

let server: RunningServer
let folder: string
let names: { run: string; model: string }

beforeAll(async () => {
  if (!(await ensurePythonEnvironment(CLIENT))) throw new Error(missingPython(CLIENT))
  server = await startServer()
  folder = await mkdtemp(join(tmpdir(), 'millrace-logged-'))
  const script = join(import.meta.dirname, 'log_models.py')
  const { stdout } = await promisify(execFile)(pythonOf(CLIENT), [script], {
    cwd: folder,
    env: {
      ...process.env,
      MLFLOW_TRACKING_URI: server.url,
      MLFLOW_DISABLE_TELEMETRY: 'true',
      GIT_PYTHON_REFRESH: 'quiet',
    },
  })
  names = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as typeof names
}, LOGGED_LIMIT_MS)

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  if (folder) await rm(folder, { recursive: true })
})

const tracking = () => ({ url: server.url, headers: {} })

describe('a model that a stock client logged and registered is found', () => {
  test.each([
    ['by version', () => 'models:/constant/1', true],
    ['by alias', () => 'models:/constant@champion', true],
    ['by stage', () => 'models:/constant/production', true],
    ['by its own id', () => `models:/${names.model}`, true],
    ['by its run and name', () => `runs:/${names.run}/model`, true],
    ['as the latest version', () => 'models:/constant/latest', false],
    ['by its run and path', () => `runs:/${names.run}/nested/old`, false],
  ])('%s', async (_how, uri, isLogged) => {
    const local = await fetchModel(uri(), tracking())
    const model = await readModel(local.directory)

    expect(model.flavors['python_function']).toBeDefined()
    expect(model.modelId === names.model).toBe(isLogged)
    expect(existsSync(join(local.directory, 'python_model.pkl'))).toBe(true)
    await local[Symbol.asyncDispose]()
    expect(existsSync(local.directory)).toBe(false)
  })
})

describe('a model that is not there is missed by its name', () => {
  test.each([
    ['models:/none/1', /none/],
    ['models:/constant/99', /constant/],
    ['models:/constant@none', /none/],
    ['models:/constant/Staging', /constant.*Staging/],
    ['models:/m-none', /m-none/],
    ['runs:/none/model', /none/],
  ])('%s', async (uri, message) => {
    const found = fetchModel(uri, tracking())

    await expect(found).rejects.toThrow(message)
    await expect(found).rejects.toBeInstanceOf(ApiError)
  })

  test('in a run', async () => {
    await expect(fetchModel(`runs:/${names.run}/none`, tracking())).rejects.toThrow(
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
  await using local = await fetchModel(join(folder, 'saved'), undefined)

  expect(local.directory).toMatch(/saved$/)
  await local[Symbol.asyncDispose]()
  expect(existsSync(local.directory)).toBe(true)
})
