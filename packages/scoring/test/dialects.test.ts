import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  dialects,
  oldBodies,
  oldCases,
  refusals,
  type ScoringCase,
  typedCases,
} from './scoring-cases.ts'
import { scoringModels } from './scoring-models.ts'
import { type ScoringProcess, startMillrace, startStock } from './scoring-processes.ts'

const START_LIMIT_MS = 400_000

interface Served {
  status: number
  contentType: string | null
  body: unknown
  /** That the way of asking is old. */
  notice: string | null
}

async function ask(url: string, [, contentType, body]: ScoringCase): Promise<Served> {
  return read(await fetch(`${url}/invocations`, { method: 'POST', ...request(contentType, body) }))
}

function request(contentType: string, body: string | Uint8Array): RequestInit {
  return { headers: { 'content-type': contentType }, body: Buffer.from(body) }
}

/** An answer without what differs between two processes: paths in a trace, the order of a set. */
async function read(response: Response): Promise<Served> {
  const { status, headers } = response
  const text = await response.text()
  const sorted = text.replace(/\{'(\w+)', '(\w+)', '(\w+)', '(\w+)'\}/, (set: string) =>
    set.slice(1, -1).split(', ').sort().join(),
  )
  let body: unknown = sorted
  if (sorted.startsWith('{"error_code"')) {
    const { stack_trace, ...rest } = JSON.parse(sorted) as Record<string, string>
    body = { ...rest, lastOfTrace: stack_trace?.trim().split('\n').at(-1) }
  }
  const notice = headers.get('warning')
  return { status, contentType: headers.get('content-type'), body, notice }
}

/** What MLflow 1.x would have answered: the predictions alone, and refusals as they are. */
function unwrapped(body: unknown): unknown {
  const [, predictions] = /^\{"predictions": (.*)\}$/s.exec(String(body)) ?? []
  return predictions ?? body
}

/** Serves one model by the stock server and by ours. */
function servedByBoth(environment: Parameters<typeof scoringModels>[0], name: string) {
  const servers: ScoringProcess[] = []
  beforeAll(async () => {
    const { python, directory } = await scoringModels(environment)
    const starts = [startStock(python, directory(name)), startMillrace(python, directory(name))]
    // Also when one fails, so that the other is ended.
    for (const start of await Promise.allSettled(starts)) {
      if (start.status === 'fulfilled') servers.push(start.value)
    }
    await Promise.all(starts)
  }, START_LIMIT_MS)
  afterAll(async () => {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()))
  })
  return <T = Served>(send: (url: string) => Promise<T>) =>
    Promise.all(servers.map(({ url }) => send(url))) as Promise<[T, T]>
}

describe('a model with a signature, saved and served with 3.17', () => {
  const onBoth = servedByBoth('mlflow-3.17.2', 'signed')

  test.each(dialects)('answers %s as the stock server does', async (...request) => {
    const [stock, ours] = await onBoth((url) => ask(url, request))

    expect(ours).toEqual(stock)
    expect(ours.status).toBe(200)
  })

  test.each(refusals)('refuses %s as the stock server does', async (...request) => {
    const [stock, ours] = await onBoth((url) => ask(url, request))

    expect(ours).toEqual(stock)
    expect(ours.status).toBeGreaterThanOrEqual(400)
    expect(ours.status).toBeLessThan(500)
  })

  test.each(oldBodies)(
    'takes %s of 1.x in its own way of answering, and notes that it is old',
    async (title, contentType, body, today) => {
      const [stock, ours] = await onBoth(async (url) => ({
        today: await ask(url, [title, 'application/json', JSON.stringify(today)]),
        old: await ask(url, [title, contentType, body]),
      }))

      expect(ours.today).toEqual(stock.today)
      expect(ours.old).toEqual({
        ...stock.today,
        body: unwrapped(stock.today.body),
        notice: expect.stringMatching(/^299 - "The request is in the format of MLflow 1.x; /),
      })
    },
  )

  test.each([
    ['GET', '/ping'],
    ['GET', '/health'],
    ['GET', '/version'],
    ['GET', '/invocations'],
    ['POST', '/ping'],
    ['HEAD', '/health'],
    ['DELETE', '/invocations'],
    ['GET', '/nothing'],
    ['GET', '/PING'],
  ])('answers %s %s as the stock server does', async (method, path) => {
    const [stock, ours] = await onBoth(async (url) => read(await fetch(url + path, { method })))

    expect(ours).toEqual(stock)
  })

  test('says that the type is missing, where the stock server fails', async () => {
    const [stock, ours] = await onBoth(async (url) =>
      read(await fetch(`${url}/invocations`, { method: 'POST' })),
    )

    expect(stock.status).toBe(500)
    expect(ours.status).toBe(415)
    expect(ours.body).toMatch(/^This predictor only supports the following content types/)
  })

  test('refuses a body nested too deep, where the stock server fails', async () => {
    const deep = `{"inputs":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    const [stock, ours] = await onBoth((url) => ask(url, ['deep', 'application/json', deep]))

    expect(stock.status).toBe(500)
    expect(ours).toMatchObject({ status: 400, body: { error_code: 'BAD_REQUEST' } })
  })
})

describe('a model with params and a column of every type', () => {
  const onBoth = servedByBoth('mlflow-3.17.2', 'typed')

  test.each(typedCases)('gives for %s what the stock server gives', async (...request) => {
    const [stock, ours] = await onBoth((url) => ask(url, request))

    expect(ours).toEqual(stock)
  })
})

describe('a model that 1.30 saved and serves', () => {
  const onBoth = servedByBoth('mlflow-1.30.0', 'signed')

  test.each(oldCases)('gives for %s what the stock server gives', async (...request) => {
    const [stock, ours] = await onBoth((url) => ask(url, request))

    expect(ours).toEqual(stock)
  })
})
