import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'

let server: TestServer
let experiment_id: string
beforeAll(async () => {
  server = await startServer()
  experiment_id = (await server.client.experiments.create({ name: 'metrics' })).experiment_id
})
afterAll(() => server.close())

async function createRun(): Promise<string> {
  return (await server.client.runs.create({ experiment_id })).run.info.run_id
}

async function logSteps(run_id: string, from: number, to: number, key = 'm'): Promise<void> {
  const metrics = Array.from({ length: to - from }, (_, i) => ({
    key,
    value: (from + i) / 10,
    timestamp: 1000 + from + i,
    step: from + i,
  }))
  await server.client.runs.logBatch({ run_id, metrics })
}

async function get(path: string) {
  const response = await server.http.inject({ url: `/ajax-api/2.0/mlflow/metrics/${path}` })
  return { status: response.statusCode, body: response.json() }
}

test('the least and greatest steps and times keep every digit', async () => {
  const run_id = await createRun()
  const bounds = ['-9223372036854775808', '9223372036854775807']
  for (const step of bounds) {
    const timestamp = bounds[1]
    await server.http.inject({
      method: 'POST',
      url: '/api/2.0/mlflow/runs/log-metric',
      headers: { host: 'localhost', 'content-type': 'application/json' },
      payload: `{"run_id":"${run_id}","key":"at${step}","value":1,"timestamp":${timestamp},"step":${step}}`,
    })
  }
  const search = { experiment_ids: [experiment_id], order_by: ['metrics.`at-9223372036854775808`'] }
  await server.client.runs.search(search)

  const { body } = await server.http.inject({
    url: `/api/2.0/mlflow/runs/get?run_id=${run_id}`,
    headers: { host: 'localhost' },
  })

  for (const step of bounds) expect(body).toContain(`"timestamp":${bounds[1]},"step":${step}}`)
})

describe('the history of a metric', () => {
  test('is in the order of time, step and value, whatever order it came in', async () => {
    const run_id = await createRun()
    const point = (timestamp: number, step: number, value: number) => ({
      key: 'm',
      timestamp,
      step,
      value,
    })
    const ordered = [
      point(1, 5, 1),
      point(2, 1, 9),
      point(2, 1, 10),
      point(2, 2, 0),
      point(3, 0, 7),
    ]
    for (const i of [4, 1, 3, 0, 2, 1]) {
      await server.client.runs.logMetric({ run_id, ...(ordered[i] ?? ordered[0]) } as never)
    }

    const { metrics } = await server.client.metrics.getHistory({ run_id, metric_key: 'm' })

    expect(metrics).toEqual(ordered)
  })

  test('comes whole without max_results, and in pages with it', async () => {
    const run_id = await createRun()
    await logSteps(run_id, 0, 25)

    const whole = await server.client.metrics.getHistory({ run_id, metric_key: 'm' })
    const pages: (number | bigint)[][] = []
    let page_token: string | undefined
    do {
      const page = await server.client.metrics.getHistory({
        run_id,
        metric_key: 'm',
        max_results: 10,
        page_token,
      })
      pages.push((page.metrics ?? []).map(({ step }) => step))
      page_token = page.next_page_token
    } while (page_token !== undefined)

    expect(whole.next_page_token).toBeUndefined()
    expect(whole.metrics).toHaveLength(25)
    expect(pages.map((page) => page.length)).toEqual([10, 10, 5])
    expect(pages.flat()).toEqual(Array.from({ length: 25 }, (_, i) => i))
  })

  test('is empty for a run or a metric that nobody logged', async () => {
    const run_id = await createRun()

    expect(await get(`get-history?run_id=${run_id}&metric_key=none`)).toEqual({
      status: 200,
      body: {},
    })
    expect(await get('get-history?run_id=nobody&metric_key=m')).toEqual({ status: 200, body: {} })
  })

  test.each([
    ['metric_key=m', "Missing value for required parameter 'run_id'."],
    ['run_id=r', "Missing value for required parameter 'metric_key'."],
    [
      'run_id=r&metric_key=m&max_results=0',
      "Invalid value 0 for parameter 'max_results' supplied. It must be a positive integer.",
    ],
    [
      'run_id=r&metric_key=m&max_results=x',
      `Invalid value "x" for parameter 'max_results' supplied`,
    ],
    ['run_id=r&metric_key=m&page_token=%25', 'Invalid page token, could not base64-decode'],
    ['run_id=r&metric_key=m&page_token=e30%3D', 'Invalid page token, parsed value={}'],
  ])('asked for by %s is refused', async (query, message) => {
    const { status, body } = await get(`get-history?${query}`)

    expect(status).toBe(400)
    expect(body.message).toContain(message)
  })

  test('is exact, and so is its latest value, before and after it is sealed and merged', async () => {
    const run_id = await createRun()
    const keys = ['a', 'b', 'c']
    for (let step = 0; step < 6000; step += 20) {
      const metrics = keys.flatMap((key) =>
        Array.from({ length: 20 }, (_, i) => step + i).map((at) => ({
          key,
          value: at % 97,
          timestamp: at,
          step: at,
        })),
      )
      await server.client.runs.logBatch({ run_id, metrics })
    }
    await server.client.runs.update({ run_id, status: 'FINISHED', end_time: 9 })

    const history = async () =>
      (await server.client.metrics.getHistory({ run_id, metric_key: 'b' })).metrics ?? []
    const before = await history()
    await expect.poll(() => countTail(run_id), { timeout: 180_000 }).toBe(0)
    const after = await history()

    expect(before).toEqual(
      Array.from({ length: 6000 }, (_, at) => ({
        key: 'b',
        value: at % 97,
        timestamp: at,
        step: at,
      })),
    )
    expect(after).toEqual(before)
    const { run } = await server.client.runs.get({ run_id })
    expect(run.data.metrics?.map(({ key, value, step }) => [key, value, step])).toEqual(
      keys.map((key) => [key, 5999 % 97, 5999]),
    )
  })
})

async function countTail(run_id: string): Promise<number> {
  const { count } = await server.db
    .selectFrom('metric_tail')
    .innerJoin('run', 'run.id', 'metric_tail.run')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('run.uuid', '=', run_id)
    .executeTakeFirstOrThrow()
  return count
}

describe('the history of several runs', () => {
  test('in bulk is sorted by run, and cut at max_results', async () => {
    const runs = [await createRun(), await createRun()]
    for (const run_id of runs) await logSteps(run_id, 0, 4)
    const [first = '', second = ''] = [...runs].sort()

    const { body } = await get(
      `get-history-bulk?run_id=${second}&run_id=${first}&metric_key=m&max_results=6`,
    )

    expect(
      body.metrics.map((point: { run_id: string; step: number }) => [point.run_id, point.step]),
    ).toEqual([
      ...[0, 1, 2, 3].map((step) => [first, step]),
      ...[0, 1].map((step) => [second, step]),
    ])
  })

  test('by interval is thinned run by run and keeps first and last', async () => {
    const run_id = await createRun()
    await logSteps(run_id, 0, 10)

    const { metrics } = await server.client.metrics.getHistoryBulkInterval({
      run_ids: [run_id],
      metric_key: 'm',
      max_results: 5,
    })

    expect(metrics?.map(({ step }) => step)).toEqual([0, 2, 4, 6, 9])
    expect(metrics?.every((point) => point.run_id === run_id)).toBe(true)
  })

  test('by interval has what was logged, or sealed, since it was last asked for', async () => {
    const run_id = await createRun()
    const other = await createRun()
    const steps = async () => {
      const { metrics } = await server.client.metrics.getHistoryBulkInterval({
        run_ids: [run_id, other],
        metric_key: 'm',
        max_results: 2500,
      })
      return metrics?.map((point) => (point.run_id === run_id ? point.step : -1))
    }
    const upTo = (end: number) => Array.from({ length: end }, (_, step) => step)
    await logSteps(run_id, 0, 400)
    expect(await steps()).toEqual(upTo(400))
    await logSteps(run_id, 400, 500)
    expect(await steps()).toEqual(upTo(500))
    await server.client.runs.update({ run_id, status: 'FINISHED', end_time: 9 })
    await expect.poll(() => countTail(run_id), { timeout: 180_000 }).toBe(0)
    expect(await steps()).toEqual(upTo(500))
    await logSteps(run_id, 500, 501)
    expect(await steps()).toEqual(upTo(501))
  })

  test('by interval keeps to a range of steps', async () => {
    const run_id = await createRun()
    await logSteps(run_id, 0, 10)

    const { metrics } = await server.client.metrics.getHistoryBulkInterval({
      run_ids: [run_id],
      metric_key: 'm',
      start_step: 3,
      end_step: 6,
    })

    expect(metrics?.map(({ step }) => step)).toEqual([3, 4, 5, 6])
  })

  test.each([
    [
      'get-history-bulk?metric_key=m',
      'GetMetricHistoryBulk request must specify at least one run_id.',
    ],
    ['get-history-bulk?run_id=r', 'GetMetricHistoryBulk request must specify a metric_key.'],
    [
      `get-history-bulk?metric_key=m${'&run_id=r'.repeat(101)}`,
      'more than 100 run_ids. Received 101 run_ids.',
    ],
    [
      'get-history-bulk-interval?run_ids=r&metric_key=m&start_step=1',
      'If either start step or end step are specified, both must be specified.',
    ],
    [
      'get-history-bulk-interval?run_ids=r&metric_key=m&start_step=5&end_step=1',
      'end_step must be greater than start_step.',
    ],
    [
      'get-history-bulk-interval?run_ids=r&metric_key=m&max_results=2501',
      'max_results must be between 1 and 2500',
    ],
    ['get-history-bulk-interval?metric_key=m', "Missing value for required parameter 'run_ids'."],
    [
      `get-history-bulk-interval?metric_key=m${'&run_ids=r'.repeat(101)}`,
      'at most 100 run_ids. Received 101 run_ids.',
    ],
  ])('%s is refused', async (path, message) => {
    const { status, body } = await get(path)

    expect(status).toBe(400)
    expect(body.error_code).toBe('INVALID_PARAMETER_VALUE')
    expect(body.message).toContain(message)
  })
})

test('a search shows and finds what was logged a moment ago, whether or not it asks for metrics', async () => {
  const { experiment_id } = await server.client.experiments.create({ name: 'fresh' })
  const { run } = await server.client.runs.create({ experiment_id })
  const { run_id } = run.info
  const search = async (filter?: string) => {
    const found = await server.client.runs.search({ experiment_ids: [experiment_id], filter })
    return found.runs?.map(({ data }) => data.metrics?.[0]?.value)
  }

  await logSteps(run_id, 0, 3)
  const plain = await search()
  await logSteps(run_id, 3, 6)
  const filtered = await search('metrics.m > 0.4')

  expect([plain, filtered]).toEqual([[0.2], [0.5]])
})
