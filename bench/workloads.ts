/** What a server was filled with before it is measured. */
export interface Seeds {
  /** One run per connection. */
  runIds: string[]
  /** An experiment of `SEARCHED_RUNS` runs. */
  searchedExperimentId: string
  /** A run with `HISTORY_POINTS` points of `loss`. */
  historyRunId: string
  /** Runs with `HISTORY_POINTS` points of `loss` each, which one chart shows. */
  chartRunIds: string[]
  emptyExperimentId: string
}

export const SEARCHED_RUNS = 1500
export const SEARCHED_METRICS = 20
export const SEARCHED_PARAMS = 10
export const HISTORY_POINTS = 10_000
export const CHART_RUNS = 20
/** Of each run. */
const CHART_POINTS = 320

/** One kind of request. */
export interface Workload {
  title: string
  /** Points that one request stores. */
  points?: number
  isWrite: boolean
  /** Peers that do not serve it. */
  without?: string[]
  /** At which numbers of connections it is measured, of those that were asked for. */
  connections: number[]
  request(seeds: Seeds, connection: number): Template
  /** Throws when an answer is not what the request asks for. */
  check(answer: Answer): void
}

/**
 * A request whose counters, nine digits each, are overwritten in place before it is sent again, so
 * that no two requests store the same and a thousand points cost the generator next to nothing.
 */
export interface Template {
  bytes: Buffer
  counters: { at: number; add: number }[]
}

/** The only parts of answers that are looked at. */
export interface Answer {
  runs?: unknown[]
  metrics?: unknown[]
  run?: { info: { run_id: string } }
  experiment?: { experiment_id: string }
}

const API = '/api/2.0/mlflow'
const AJAX_API = '/ajax-api/2.0/mlflow'
const TIMESTAMP = 1_760_000_000_000
const ALL = [1, 8, 64]

/** Every workload by the name that `--only` takes. */
export const workloads: Record<string, Workload> = {
  'experiments-get': {
    title: 'experiments/get',
    isWrite: false,
    connections: ALL,
    request: () => get(`${API}/experiments/get?experiment_id=0`),
    check: ({ experiment }) => expect('experiment id', experiment?.experiment_id, '0'),
  },
  'runs-get': {
    title: 'runs/get (20 metrics, 10 params)',
    isWrite: false,
    connections: ALL,
    request: ({ historyRunId }) => get(`${API}/runs/get?run_id=${historyRunId}`),
    check: ({ run }) => expect('run id length', run?.info.run_id.length, 32),
  },
  'runs-create': {
    title: 'runs/create',
    isWrite: true,
    connections: ALL,
    request: ({ emptyExperimentId }) =>
      post(`${API}/runs/create`, {
        experiment_id: emptyExperimentId,
        start_time: 1_760_100_000_000,
        run_name: 'bench',
        tags: [{ key: 'mlflow.user', value: 'bench' }],
      }),
    check: ({ run }) => expect('run id length', run?.info.run_id.length, 32),
  },
  'set-tag': {
    title: 'runs/set-tag',
    isWrite: true,
    connections: ALL,
    request: ({ runIds }, connection) =>
      post(`${API}/runs/set-tag`, {
        run_id: runIds[connection],
        key: 'stage',
        value: 'at 100000000',
      }),
    check: () => {},
  },
  'log-metric': {
    title: 'runs/log-metric',
    points: 1,
    isWrite: true,
    connections: ALL,
    request: ({ runIds }, connection) =>
      post(`${API}/runs/log-metric`, { run_id: runIds[connection], ...point('loss', 0.25, 0) }),
    check: () => {},
  },
  'log-batch-10': {
    title: 'runs/log-batch, 10 points (1 key x 10 steps)',
    points: 10,
    isWrite: true,
    connections: ALL,
    request: ({ runIds }, connection) => batch(runIds[connection] ?? '', 1),
    check: () => {},
  },
  'log-batch-100': {
    title: 'runs/log-batch, 100 points (10 keys x 10 steps)',
    points: 100,
    isWrite: true,
    connections: ALL,
    request: ({ runIds }, connection) => batch(runIds[connection] ?? '', 10),
    check: () => {},
  },
  'log-batch-1000': {
    title: 'runs/log-batch, 1000 points (100 keys x 10 steps)',
    points: 1000,
    isWrite: true,
    connections: ALL,
    request: ({ runIds }, connection) => batch(runIds[connection] ?? '', 100),
    check: () => {},
  },
  'search-filter': {
    title: `runs/search, filter and order by metric, page of 100 of ${SEARCHED_RUNS} runs`,
    isWrite: false,
    connections: [1, 8],
    request: ({ searchedExperimentId }) =>
      post(`${API}/runs/search`, {
        experiment_ids: [searchedExperimentId],
        filter: 'metrics.m3 > 0.5 and params.p1 = "x1"',
        order_by: ['metrics.m3 DESC'],
        max_results: 100,
      }),
    check: ({ runs }) => expect('runs of the page', runs?.length, 100),
  },
  'search-page-1000': {
    title: `runs/search, page of 1000 of ${SEARCHED_RUNS} runs`,
    isWrite: false,
    connections: [1, 8],
    request: ({ searchedExperimentId }) =>
      post(`${API}/runs/search`, { experiment_ids: [searchedExperimentId], max_results: 1000 }),
    check: ({ runs }) => expect('runs of the page', runs?.length, 1000),
  },
  'history-10k': {
    title: `metrics/get-history of ${HISTORY_POINTS} points`,
    isWrite: false,
    connections: [1, 8],
    request: ({ historyRunId }) =>
      get(`${API}/metrics/get-history?run_id=${historyRunId}&metric_key=loss&max_results=25000`),
    check: ({ metrics }) => expect('points', metrics?.length, HISTORY_POINTS),
  },
  'bulk-interval': {
    title: `metrics/get-history-bulk-interval, ${CHART_RUNS} runs of ${HISTORY_POINTS} points`,
    isWrite: false,
    without: ['fasttrackml'],
    connections: [1, 8],
    request: ({ chartRunIds }) => {
      const runs = chartRunIds.map((id) => `run_ids=${id}`).join('&')
      return get(
        `${AJAX_API}/metrics/get-history-bulk-interval?${runs}&metric_key=loss&max_results=${CHART_POINTS}`,
      )
    },
    check: ({ metrics }) => {
      const least = CHART_RUNS * CHART_POINTS
      // Some add the last point of each run.
      if (!metrics || metrics.length < least || metrics.length > least + 2 * CHART_RUNS) {
        throw new Error(`points: ${metrics?.length} instead of about ${least}`)
      }
    },
  },
}

function expect<Value>(what: string, got: Value, wanted: Value): void {
  if (got !== wanted) throw new Error(`${what}: ${got} instead of ${wanted}`)
}

function point(key: string, value: number, step: number) {
  return { key, value, timestamp: TIMESTAMP, step: 100_000_000 + step }
}

function batch(run_id: string, keys: number): Template {
  const metrics = Array.from({ length: keys * 10 }, (_, i) =>
    point(`metric_${i % keys}`, ((i * 7919) % 100_003) / 99_991, Math.floor(i / keys)),
  )
  return post(`${API}/runs/log-batch`, { run_id, metrics })
}

function get(path: string): Template {
  return { bytes: Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`), counters: [] }
}

/** Nine digits that begin with 1000000 are a counter, wherever they end a number or a text. */
function post(path: string, body: unknown): Template {
  const text = JSON.stringify(body)
  const head =
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n` +
    `Content-Length: ${text.length}\r\n\r\n`
  const counters = [...text.matchAll(/1000000(\d\d)(?!\d)/g)].map(({ index, 1: add }) => ({
    at: head.length + index,
    add: Number(add),
  }))
  return { bytes: Buffer.from(head + text), counters }
}

/** Writes the counters of a template. */
export function countFrom({ bytes, counters }: Template, start: number): void {
  for (const { at, add } of counters) {
    let rest = start + add
    for (let digit = 8; digit >= 0; digit--) {
      bytes[at + digit] = 48 + (rest % 10)
      rest = Math.floor(rest / 10)
    }
  }
}
