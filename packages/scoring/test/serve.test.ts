import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ScoringServer, type ServeOptions, serveModel } from '../src/serve-model.ts'
import { type ScoringModels, scoringModels } from './scoring-models.ts'
import { startMillrace } from './scoring-processes.ts'

const START_LIMIT_MS = 400_000
const TIMEOUT_MS = 4_000
const QUEUE_MAX = 30

let models: ScoringModels
let server: ScoringServer
let printed = ''

function options(modelUri: string): ServeOptions {
  return {
    modelUri,
    tracking: undefined,
    host: '127.0.0.1',
    port: 0,
    workers: 2,
    timeoutMs: TIMEOUT_MS,
    bodyBytesMax: 2 ** 20,
    receiveTimeoutMs: 1_500,
    queueMax: QUEUE_MAX,
    manager: 'local',
    installMlflow: false,
    environment: { ...process.env, MILLRACE_PYTHON: models.python },
    signal: new AbortController().signal,
    log: () => {},
    onOutput: (chunk) => {
      printed += chunk.toString()
    },
  }
}

beforeAll(async () => {
  models = await scoringModels('mlflow-3.17.2')
  server = await serveModel(options(models.directory('actor')))
}, START_LIMIT_MS)

afterAll(() => server?.close())

/** Has the model do something; see `Actor` in make_models.py. */
function act(action: string, url = server.url) {
  const body = JSON.stringify({ dataframe_records: [{ do: action }] })
  const headers = { 'content-type': 'application/json' }
  return fetch(`${url}/invocations`, { method: 'POST', headers, body })
}

async function predictions(response: Response) {
  return ((await response.json()) as { predictions: unknown }).predictions
}

/** Waits until the model has printed `asleep` that many times more. */
function untilAsleep(count: number) {
  const before = countOf('asleep')
  return expect
    .poll(() => countOf('asleep') - before, { timeout: TIMEOUT_MS, interval: 10 })
    .toBeGreaterThanOrEqual(count)
}

function countOf(word: string) {
  return printed.split(word).length - 1
}

describe('workers', () => {
  test('one killed while requests run is replaced, and all requests are answered', async () => {
    const asleep = untilAsleep(4)
    const asked = Array.from({ length: 8 }, () => act('sleep 0.5'))
    await asleep
    const [victim = 0] = server.pool.pids
    process.kill(victim, 'SIGKILL')
    const answers = await Promise.all(asked)

    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200))
    await expect.poll(() => server.pool.pids.length, { timeout: 180_000 }).toBe(2)
    expect(server.pool.pids).not.toContain(victim)
  }, 360_000)

  test('a request that kills its worker fails, and those beside it are answered', async () => {
    const asleep = untilAsleep(2)
    const neighbours = [act('sleep 1'), act('sleep 1')]
    await asleep
    const killer = await act('die')

    expect(killer.status).toBe(500)
    expect(await killer.json()).toEqual({
      error_code: 'INTERNAL_ERROR',
      message:
        'The process that ran the model was ended by SIGKILL while it worked on this request, twice.',
    })
    const answers = await Promise.all(neighbours)
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    await expect.poll(() => server.pool.pids.length, { timeout: 180_000 }).toBe(2)
  }, 360_000)

  test('a model that hangs is given up after the time limit, and others are answered', async () => {
    const hanging = act('sleep 600')
    const others = await Promise.all([act('nothing'), act('nothing'), act('nothing')])
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200])
    const response = await hanging

    expect(response.status).toBe(504)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.text()).toBe('Request processing time exceeded limit')
  })

  test('a model that holds the interpreter is killed, and its place is filled', async () => {
    const before = server.pool.pids
    const frozen = await act('freeze 600')

    expect(frozen.status).toBe(504)
    await expect
      .poll(() => server.pool.pids.filter((pid) => !before.includes(pid)).length, {
        timeout: 180_000,
      })
      .toBeGreaterThan(0)
    expect((await act('nothing')).status).toBe(200)
  }, 360_000)

  test('what a model has started ends with its worker', async () => {
    const answer = await predictions(await act('leave'))
    const { pid, started } = answer as { pid: number; started: number }
    process.kill(pid, 'SIGKILL')

    await expect.poll(() => isRunning(started), { timeout: 180_000 }).toBe(false)
  }, 360_000)

  test('a model that cannot be loaded is told in one sentence, and nothing is left', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-broken-'))
    await cp(models.directory('actor'), folder, { recursive: true })
    await writeFile(join(folder, 'python_model.pkl'), 'no pickle')

    const served = serveModel({ ...options(folder), workers: 1 })

    await expect(served).rejects.toThrow(/UnpicklingError/)
    await rm(folder, { recursive: true })
  }, 360_000)
})

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('answers', () => {
  test('what the model prints is logged and is no part of them', async () => {
    const response = await act('print')

    expect(await predictions(response)).toEqual({ pid: expect.any(Number) })
    expect(printed).toContain('printed by the model\n')
    expect(printed).toContain('written by the model\n')
  })

  test('one of five megabytes arrives whole', async () => {
    const answer = await predictions(await act('large 5000000'))

    expect(answer).toBe('x'.repeat(5_000_000))
  })

  test('what cannot be JSON is an error that says so', async () => {
    const response = await act('object')

    expect(response.status).toBe(500)
    expect(await response.json()).toMatchObject({
      error_code: 'INTERNAL_ERROR',
      message: expect.stringContaining('object is not JSON serializable'),
    })
  })
})

describe('limits', () => {
  test('a body beyond the limit is refused, with and without a length', async () => {
    const large = { method: 'POST', headers: { 'content-type': 'application/json' } }
    const bytes = Buffer.alloc(2 ** 20 + 1, ' ')
    const chunked = new Blob([bytes]).stream()
    const responses = await Promise.all([
      fetch(`${server.url}/invocations`, { ...large, body: bytes }),
      fetch(`${server.url}/invocations`, {
        ...large,
        body: chunked,
        duplex: 'half',
      } as RequestInit),
    ])

    expect(responses.map(({ status }) => status)).toEqual([413, 413])
    expect(await responses[0]?.json()).toMatchObject({ error_code: 'BAD_REQUEST' })
    expect((await act('nothing')).status).toBe(200)
  })

  test('a client that sends slowly hinders nobody, and is cut off', async () => {
    const { port } = new URL(server.url)
    const slow = connect(Number(port), '127.0.0.1')
    slow.write('POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{')
    const answers = await Promise.all(Array.from({ length: 10 }, () => act('nothing')))

    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
    expect(await text(slow)).toMatch(/^HTTP\/1\.1 408 /)
  })

  test('more requests than may wait are told to come back, and the others are answered', async () => {
    const answers = await Promise.all(Array.from({ length: 150 }, () => act('sleep 0.5')))
    const refused = answers.filter(({ status }) => status !== 200)

    expect(refused.length).toBeGreaterThan(0)
    expect(answers.length - refused.length).toBeGreaterThanOrEqual(QUEUE_MAX)
    expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 503))
    expect(refused[0]?.headers.get('retry-after')).toBe('1')
    expect(await refused[0]?.json()).toMatchObject({ error_code: 'TEMPORARILY_UNAVAILABLE' })
  })
})

describe('the end', () => {
  test('SIGTERM lets requests be answered, takes no more and leaves nothing', async () => {
    await using millrace = await startMillrace(models.python, models.directory('actor'))
    const running = act('sleep 2', millrace.url)
    await expect.poll(() => millrace.output(), { interval: 20 }).toContain('asleep')
    millrace.child.kill('SIGTERM')
    await expect.poll(() => isServing(millrace.url), { interval: 20 }).toBe(false)

    expect((await running).status).toBe(200)
    expect(await millrace.exitCode()).toBe(0)
    expect(isRunning(Number(((await predictions(await running)) as { pid: number }).pid))).toBe(
      false,
    )
  }, 360_000)

  test('a killed server takes its workers with it', async () => {
    await using millrace = await startMillrace(models.python, models.directory('actor'))
    const { pid } = (await predictions(await act('nothing', millrace.url))) as { pid: number }
    act('freeze 600', millrace.url).catch(() => {})
    await expect.poll(() => millrace.output(), { interval: 20 }).toContain('frozen')
    millrace.child.kill('SIGKILL')

    await expect.poll(() => isRunning(pid), { timeout: 180_000 }).toBe(false)
  }, 360_000)
})

async function isServing(url: string): Promise<boolean> {
  return fetch(`${url}/ping`).then(
    ({ ok }) => ok,
    () => false,
  )
}
