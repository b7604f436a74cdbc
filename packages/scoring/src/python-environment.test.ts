import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ModelEnvironment } from '@millrace/models/model-environment'
import { parseRequirement } from '@millrace/models/requirement'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lockFile } from './environment-lock.ts'
import { type EnvironmentOptions, prepareEnvironment } from './python-environment.ts'
import { runProgram } from './run-program.ts'

let cache: string
let logged: string[]

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'millrace-cache-'))
  logged = []
})
afterEach(() => rm(cache, { recursive: true }))

const signal = new AbortController().signal

function options(): EnvironmentOptions {
  return {
    manager: 'virtualenv',
    // Nothing is fetched: what an index would have to give is a failure.
    environment: {
      ...process.env,
      MILLRACE_CACHE: cache,
      UV_OFFLINE: '1',
      UV_NO_INDEX: '1',
      PIP_NO_INDEX: '1',
    },
    signal,
    log: (line) => logged.push(line),
  }
}

function wanting(...requirements: string[]): ModelEnvironment {
  return {
    buildRequirements: [],
    requirements: requirements.map(parseRequirement),
    constraints: [],
    leftOut: [],
  }
}

const makings = () => logged.filter((line) => line.startsWith('Making')).length

/** What is in the cache beside the locks. */
async function kept(): Promise<string[]> {
  return (await readdir(join(cache, 'envs'))).filter((name) => !name.includes('.lock'))
}

describe('an environment', () => {
  test('has a Python of its own that runs, and is made once', async () => {
    const python = await prepareEnvironment(wanting(), options())
    const { status, lastLines } = await runProgram(
      python,
      ['-c', 'import sys; print(sys.prefix)'],
      { environment: process.env, signal },
    )

    expect({ status, lastLines }).toEqual({ status: 0, lastLines: [join(python, '../..')] })
    expect(await prepareEnvironment(wanting(), options())).toBe(python)
    expect(makings()).toBe(1)
  })

  test('that many ask for at once is made once', async () => {
    const asked = Array.from({ length: 4 }, () => prepareEnvironment(wanting(), options()))

    expect(new Set(await Promise.all(asked)).size).toBe(1)
    expect(makings()).toBe(1)
    expect(await kept()).toHaveLength(1)
  })

  test('left half made by a process that was killed is made again', async () => {
    const python = await prepareEnvironment(wanting(), options())
    await rm(join(python, '../../millrace-environment.json'))

    expect(await prepareEnvironment(wanting(), options())).toBe(python)
    expect(makings()).toBe(2)
  })

  test('that cannot be made is removed, and the reason is one sentence', async () => {
    const made = prepareEnvironment(wanting('millrace-none==1.0'), options())

    await expect(made).rejects.toMatchObject({
      code: 'INVALID_STATE',
      message: expect.stringMatching(
        /^Installing the requirements of the model with \w+ failed: .*millrace-none/,
      ),
    })
    expect(await kept()).toEqual([])
  })

  test('is private to its user', async () => {
    await prepareEnvironment(wanting(), options())

    expect((await stat(join(cache, 'envs'))).mode & 0o777).toBe(0o700)
  })

  test('for a Python that is not installed is refused with what to do', async () => {
    const made = prepareEnvironment({ ...wanting(), python: '2.1.3' }, options())

    await expect(made).rejects.toThrow(/needs Python 2\.1\.3.*--env-manager/)
  })
})

test('a lock is free again when its holder is killed', async () => {
  const path = join(cache, 'lock')
  const program = `
    import { lockFile } from ${JSON.stringify(join(import.meta.dirname, 'environment-lock.ts'))}
    const lock = await lockFile(${JSON.stringify(path)}, () => {})
    console.log('held')
    setInterval(() => lock, 1000)`
  const holder = spawn(process.execPath, ['--input-type=module', '-e', program])
  await once(holder.stdout, 'data')
  let waits = 0
  const locked = lockFile(path, () => {
    waits += 1
    holder.kill('SIGKILL')
  })
  using _ = await locked

  expect(waits).toBe(1)
})
