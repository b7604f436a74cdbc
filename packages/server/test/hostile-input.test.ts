import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase } from './shared-database.ts'
import { startServer, type TestServer } from './start-server.ts'

/** Requests that once broke something or are known to break servers; the fuzzer finds new ones. */

let server: TestServer
let experiment_id: string
let run_id: string
beforeAll(async () => {
  server = await startServer()
  experiment_id = (await server.client.experiments.create({ name: 'hostile' })).experiment_id
  run_id = await createRun()
  await server.client.runs.logBatch({
    run_id,
    metrics: [{ key: 'm', value: 1, timestamp: 1 }],
    params: [{ key: 'p', value: 'a'.repeat(6000) }],
    tags: [{ key: 't', value: 'a'.repeat(8000) }],
  })
})
afterAll(() => server.close())

async function createRun(): Promise<string> {
  return (await server.client.runs.create({ experiment_id })).run.info.run_id
}

async function send(method: 'GET' | 'POST' | 'HEAD', path: string, payload?: string) {
  const headers = { host: 'localhost', 'content-type': 'application/json' }
  const url = `/api/2.0/mlflow/${path}`
  const startedMs = performance.now()
  const { statusCode: status, body } = await server.http.inject({
    method,
    url,
    headers,
    ...(payload !== undefined && { payload }),
  })
  return { status, body, ms: performance.now() - startedMs }
}

/** Whether background work has made the document of an ended run, which pages are read from. */
async function hasDocument(run_id: string): Promise<boolean> {
  const found = await server.db
    .selectFrom('run_doc')
    .innerJoin('run', 'run.id', 'run_doc.run')
    .select('run')
    .where('uuid', '=', run_id)
    .execute()
  return found.length > 0
}

function list(count: number, element: (i: number) => unknown): string {
  return JSON.stringify(Array.from({ length: count }, (_, i) => element(i)))
}

function nested(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth)
}

const MANY = list(5000, (i) => ({ key: `k${i}`, value: 'v' }))
const NINES = '9'.repeat(1_000_000)
/** Twenty times what any of these takes on an idle machine. */
const SLOW_MS = 60_000

/** Path, body with RUN and EXPERIMENT in place of ids, expected status. */
const BODIES: [what: string, path: string, body: string, status: number][] = [
  [
    'metrics nested ten thousand deep',
    'runs/log-batch',
    `{"run_id":"RUN","metrics":${nested(1e4)}}`,
    400,
  ],
  [
    'metrics nested a million deep',
    'runs/log-batch',
    `{"run_id":"RUN","metrics":${nested(1e6)}}`,
    400,
  ],
  [
    'a value nested deep',
    'runs/log-batch',
    `{"run_id":"RUN","metrics":[{"key":"a","value":${nested(1e5)}}]}`,
    400,
  ],
  ['tags nested deep', 'runs/log-batch', `{"run_id":"RUN","tags":${nested(1e5)}}`, 400],
  ['an unknown field nested deep', 'runs/log-batch', `{"run_id":"RUN","x":${nested(1e4)}}`, 200],
  ['nothing but brackets', 'runs/log-batch', nested(1e6), 400],
  ['a nested null in camelCase', 'runs/log-batch', `{"runId":null,"aB":${nested(1e4)}}`, 400],
  [
    'Python’s NaN beside deep nesting',
    'runs/log-batch',
    `{"run_id":NaN,"metrics":${nested(1e4)}}`,
    400,
  ],
  [
    'a number of a million digits',
    'runs/log-metric',
    `{"run_id":"RUN","key":"a","value":1,"timestamp":${NINES}}`,
    400,
  ],
  [
    'a string of megabytes beside a large integer',
    'runs/set-tag',
    `{"run_id":"RUN","key":"a","x":1234567890123456789,"value":"${'\\n'.repeat(2e6)}"}`,
    200,
  ],
  ['a string that never ends', 'runs/set-tag', `{"x":NaN,"value":"${'\\"'.repeat(1e6)}`, 400],
  [
    'five thousand tags of a run',
    'runs/create',
    `{"experiment_id":"EXPERIMENT","tags":${MANY}}`,
    400,
  ],
  [
    'five thousand tags of an experiment',
    'experiments/create',
    `{"name":"tags","tags":${MANY}}`,
    400,
  ],
  [
    'five thousand params of a logged model',
    'logged-models',
    `{"experiment_id":"EXPERIMENT","params":${MANY}}`,
    400,
  ],
  ['a megabyte of name', 'experiments/create', JSON.stringify({ name: 'x'.repeat(1e6) }), 400],
  [
    'nine thousand models that a run used',
    'runs/log-inputs',
    `{"run_id":"RUN","models":${list(9000, (i) => ({ model_id: `m-${i}` }))}}`,
    200,
  ],
  [
    'nine thousand models that a run made',
    'runs/outputs',
    `{"run_id":"RUN","models":${list(9000, (i) => ({ model_id: `m-${i}` }))}}`,
    200,
  ],
  [
    'nine thousand tags of a dataset',
    'runs/log-inputs',
    `{"run_id":"RUN","datasets":[{"dataset":{"name":"a","digest":"b","source_type":"c","source":"d"},"tags":${list(9000, (i) => ({ key: `k${i}`, value: 'v' }))}}]}`,
    200,
  ],
  [
    'a hundred thousand experiments to search',
    'runs/search',
    `{"experiment_ids":${list(1e5, String)}}`,
    200,
  ],
  ['body over the limit', 'runs/log-metric', ' '.repeat(33 * 1024 * 1024), 413],
]

test.each(BODIES)(
  '%s is answered in time and as it should be',
  async (_what, path, body, status) => {
    const payload = body.replace('RUN', run_id).replace('EXPERIMENT', experiment_id)

    const answer = await send('POST', path, payload)

    expect(answer).toMatchObject({ status })
    expect(answer.ms).toBeLessThan(SLOW_MS)
  },
)

const SEARCHES: [what: string, filter: string][] = [
  ...['metrics', 'params', 'tags'].map((kind): [string, string] => [
    `three thousand clauses about ${kind}`,
    Array.from(
      { length: 3000 },
      (_, i) => `${kind}.k${i} != ${kind === 'metrics' ? 1 : "'a'"}`,
    ).join(' AND '),
  ]),
  [
    'forty thousand ids',
    `attributes.run_id IN (${list(40_000, String).replaceAll('"', "'").slice(1, -1)})`,
  ],
  ...['LIKE', 'ILIKE'].flatMap((like): [string, string][] => [
    [`${like} with thousands of wildcards`, `tags.t ${like} '${'%a'.repeat(3000)}b'`],
    [`${like} with a dozen wildcards`, `tags.t ${like} '${'%a'.repeat(12)}b'`],
    [`${like} with gaps`, `params.p ${like} '${'%_'.repeat(20)}b'`],
    [`${like} longer than patterns may be`, `params.p ${like} '${'%'.repeat(60_000)}'`],
  ]),
  ['a million brackets', '('.repeat(1e6)],
  ['a million quotes', `tags.t = '${"''".repeat(5e5)}`],
  ['a million spaces', `tags.t${' '.repeat(1e6)}x`],
]

test.each(SEARCHES)('a filter of %s is answered in time', async (_what, filter) => {
  const payload = JSON.stringify({ experiment_ids: [experiment_id], filter })

  const answer = await send('POST', 'runs/search', payload)

  expect([200, 400]).toContain(answer.status)
  expect(answer.ms).toBeLessThan(SLOW_MS)
})

test('a metric of a hundred quadrillions can be read back', async () => {
  const run_id = await createRun()
  await server.client.runs.logMetric({ run_id, key: 'flops', value: 1e17, timestamp: 1 })

  const { metrics } = (await server.client.runs.get({ run_id })).run.data
  expect(metrics).toMatchObject([{ value: 1e17 }])
})

const INHERITED = ['toString', 'constructor', '__proto__', 'hasOwnProperty']

test.each(INHERITED)('the metric value %j is no number', async (value) => {
  const metric = { key: 'm', value, timestamp: 1 }
  const one = await send('POST', 'runs/log-metric', JSON.stringify({ run_id, ...metric }))
  const batch = await send('POST', 'runs/log-batch', JSON.stringify({ run_id, metrics: [metric] }))

  expect([one.status, batch.status]).toEqual([400, 400])
})

test.each(INHERITED)('the metric value %j fails no other write', async (value) => {
  const metric = { key: 'm', timestamp: 1 }
  const answers = await Promise.all(
    [1, value, 2].map((value) =>
      send('POST', 'runs/log-metric', JSON.stringify({ run_id, ...metric, value })),
    ),
  )

  expect([answers[0]?.status, answers[2]?.status]).toEqual([200, 200])
})

describe('what a run is told', () => {
  test('a model’s history stays readable when it outgrows the length of a tag', async () => {
    const run_id = await createRun()
    const model_json = JSON.stringify({
      run_id,
      artifact_path: 'a',
      utc_time_created: 'now',
      flavors: { python: 'x'.repeat(5000) },
    })

    for (let i = 0; i < 3; i++) await server.client.runs.logModel({ run_id, model_json })

    const { tags = [] } = (await server.client.runs.get({ run_id })).run.data
    const history = tags.find(({ key }) => key === 'mlflow.log-model.history')
    expect(JSON.parse(history?.value ?? '')).toHaveLength(3)
  })

  test('a model’s history that somebody made unreadable is a refusal, not a fault', async () => {
    const run_id = await createRun()
    const model = { run_id, artifact_path: 'a', utc_time_created: 'now', flavors: {} }
    for (const value of ['not JSON', '{"a":1}', 'null']) {
      await server.client.runs.setTag({ run_id, key: 'mlflow.log-model.history', value })

      const logged = server.client.runs.logModel({ run_id, model_json: JSON.stringify(model) })

      await expect(logged).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' })
    }
  })

  test('an empty name in a batch changes neither the name nor its tag', async () => {
    const { run } = await server.client.runs.create({ experiment_id, run_name: 'kept' })
    const { run_id } = run.info

    await server.client.runs.logBatch({ run_id, tags: [{ key: 'mlflow.runName', value: '' }] })

    const { info, data } = (await server.client.runs.get({ run_id })).run
    expect([info.run_name, data.tags]).toEqual(['kept', [{ key: 'mlflow.runName', value: 'kept' }]])
  })

  // PostgreSQL cannot store a NUL; there it is refused.
  const odd = testDatabase === 'postgresql' ? ['\ud800', '\u202e'] : ['\ud800', 'a\0b', '\u202e']
  test.each(odd)('the param %j may be logged twice', async (value) => {
    const run_id = await createRun()
    const param = { run_id, key: 'odd', value }

    await server.client.runs.logParameter(param)

    await expect(server.client.runs.logParameter(param)).resolves.toEqual({})
  })

  test('HEAD answers as GET does, without the body', async () => {
    const path = `runs/get?run_id=${await createRun()}`

    const [head, get] = [await send('HEAD', path), await send('GET', path)]

    expect([head.status, head.body, get.status]).toEqual([200, '', 200])
  })

  test('a list with fewer than one experiment is refused', async () => {
    expect(await send('GET', 'experiments/list?max_results=-1')).toMatchObject({ status: 400 })
    expect(await send('GET', 'experiments/list?max_results=-9223372036854775808')).toMatchObject({
      status: 400,
    })
  })
})

describe('a deleted experiment', () => {
  test('takes its ended runs along, and brings them back', async () => {
    const { experiment_id } = await server.client.experiments.create({ name: 'to and fro' })
    const { run } = await server.client.runs.create({ experiment_id })
    const { run_id } = run.info
    await server.client.runs.update({ run_id, status: 'FINISHED' })
    const stage = async () => (await server.client.runs.get({ run_id })).run.info.lifecycle_stage
    // Elsewhere documents wait longer than a test should.
    if (testDatabase === 'sqlite') {
      await expect.poll(() => hasDocument(run_id), { timeout: 180_000 }).toBe(true)
    }

    await server.client.experiments.delete({ experiment_id })
    expect(await stage()).toBe('deleted')
    await server.client.experiments.restore({ experiment_id })
    expect(await stage()).toBe('active')
  })
})
