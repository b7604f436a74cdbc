import { setTimeout as wait } from 'node:timers/promises'
import type { ServerProcess } from './server-process.ts'
import {
  type Answer,
  CHART_RUNS,
  HISTORY_POINTS,
  SEARCHED_METRICS,
  SEARCHED_PARAMS,
  SEARCHED_RUNS,
  type Seeds,
} from './workloads.ts'

const TIMESTAMP = 1_750_000_000_000
const RUNS_AT_ONCE = 8
const CONNECTIONS_MAX = 64

const ATTEMPTS = 5

/**
 * Sends one request to a server; throws what it answered unless that is a 200. A connection that
 * breaks is tried again, as MLflow's clients do: a busy machine makes its server restart workers.
 */
export async function call(
  { port }: Pick<ServerProcess, 'port'>,
  path: string,
  body?: unknown,
): Promise<Answer & { run_id?: string; experiment_id?: string }> {
  const request = {
    ...(body !== undefined && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  }
  const base = `http://127.0.0.1:${port}`
  const url = path.startsWith('/') ? `${base}${path}` : `${base}/api/2.0/mlflow/${path}`
  const response = await send(url, request)
  const text = await response.text()
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text.slice(0, 300)}`)
  return JSON.parse(text)
}

async function send(url: string, request: RequestInit): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fetch(url, request)
    } catch (cause) {
      if (attempt === ATTEMPTS) throw new Error(`${url} could not be reached`, { cause })
      process.stderr.write(`${url}: connection lost, tried again\n`)
      await wait(1000)
    }
  }
}

/** Fills a fresh server with what the workloads of these names need. */
export async function seed(server: ServerProcess, workloads: readonly string[]): Promise<Seeds> {
  const emptyExperimentId = await createExperiment(server, 'bench-empty')
  const written = await createExperiment(server, 'bench-written')
  const runIds: string[] = []
  for (let i = 0; i < CONNECTIONS_MAX; i++) runIds.push(await createRun(server, written, i))

  const searchedExperimentId = await createExperiment(server, 'bench-searched')
  if (workloads.some((name) => name.startsWith('search-'))) {
    await fillRuns(server, searchedExperimentId, 0, SEARCHED_RUNS)
  }
  const historyRunId = await createRun(server, written, 0)
  await call(server, 'runs/log-batch', { run_id: historyRunId, ...dataOfRun(0) })
  if (workloads.includes('history-10k')) await fillHistory(server, historyRunId)
  const chartRunIds: string[] = []
  for (let i = 0; workloads.includes('bulk-interval') && i < CHART_RUNS; i++) {
    const id = await createRun(server, written, i)
    await fillHistory(server, id)
    chartRunIds.push(id)
  }
  return { runIds, searchedExperimentId, historyRunId, emptyExperimentId, chartRunIds }
}

/** Fills an experiment that has `from` finished runs up to `to`. */
export async function fillRuns(
  server: ServerProcess,
  experiment: string,
  from: number,
  to: number,
): Promise<void> {
  let next = from
  const fill = async () => {
    while (next < to) {
      const i = next++
      const run_id = await createRun(server, experiment, i)
      await call(server, 'runs/log-batch', { run_id, ...dataOfRun(i) })
      const end_time = TIMESTAMP + i + 1
      await call(server, 'runs/update', { run_id, status: 'FINISHED', end_time })
    }
  }
  await Promise.all(Array.from({ length: RUNS_AT_ONCE }, fill))
}

async function fillHistory(server: ServerProcess, run_id: string): Promise<void> {
  for (let from = 0; from < HISTORY_POINTS; from += 1000) {
    const metrics = Array.from({ length: 1000 }, (_, i) => ({
      key: 'loss',
      value: 1 / (from + i + 1),
      timestamp: TIMESTAMP + from + i,
      step: from + i,
    }))
    await call(server, 'runs/log-batch', { run_id, metrics })
  }
}

/** Half of the runs have `m3` above a half, a fifth has `p1` = x1. */
function dataOfRun(run: number) {
  return {
    metrics: Array.from({ length: SEARCHED_METRICS }, (_, m) => ({
      key: `m${m}`,
      value: ((run * 7919 + m * 104_729) % 1009) / 1009,
      timestamp: TIMESTAMP,
      step: 0,
    })),
    params: Array.from({ length: SEARCHED_PARAMS }, (_, p) => ({
      key: `p${p}`,
      value: `x${run % (p + 4)}`,
    })),
  }
}

/** Creates an experiment and returns its id. */
export async function createExperiment(server: ServerProcess, name: string): Promise<string> {
  const { experiment_id = '' } = await call(server, 'experiments/create', { name })
  return experiment_id
}

/** Creates a run and returns its id; `i` keeps two of them apart. */
export async function createRun(
  server: ServerProcess,
  experiment_id: string,
  i: number,
): Promise<string> {
  const { run } = await call(server, 'runs/create', {
    experiment_id,
    run_name: `run-${i}`,
    start_time: TIMESTAMP + i,
  })
  if (run === undefined) throw new Error('runs/create answered no run')
  return run.info.run_id
}
