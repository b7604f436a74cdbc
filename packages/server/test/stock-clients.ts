import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Ledger, Outcome, RunLedger } from './logging-clients.ts'

const PYTHON = fileURLToPath(new URL('../../../.python/mlflow-3.17.2/bin/python', import.meta.url))
const SCRIPT = join(import.meta.dirname, 'log_with_stock_client.py')
const END_LIMIT_MS = 280_000

/** Whether MLflow's own client is installed here. */
export const hasStockClient = existsSync(PYTHON)

interface StockLogging {
  /** Where the client is told that the server is. */
  url: string
  experiment_id: string
  /** A registered model that exists. */
  model: string
  seed: number
  threads: number
  seconds: number
  /** Writes of a run before it is ended and another one begun. */
  writesPerRun?: number
  /** How long the client waits for an answer, at least 1. */
  timeoutSeconds: number
}

/** What MLflow's client was told, and the text of what it raised, with how often. */
export interface StockLedger extends Ledger {
  raised: Record<string, number>
}

interface WrittenRun {
  run_id: string
  run_name: string
  points: [number, Outcome][]
  batches: [number, Outcome][]
  progress: [number, Outcome][]
  artifacts: [string, [string, Outcome]][]
  finished: Outcome | null
}

interface WrittenLedger {
  runs: WrittenRun[]
  unknownRuns: string[]
  versions: [string, string | null][]
  models: [string, Outcome][]
  raised: Record<string, number>
  acknowledged: number
}

/** Logs for so many seconds, in a process of its own, with the client's own retries. */
export async function logWithStockClient(options: StockLogging): Promise<StockLedger> {
  const { url, experiment_id, model, seed, threads, seconds, writesPerRun = 60 } = options
  const args = [experiment_id, model, seed, threads, seconds, writesPerRun].map(String)
  const child = spawn(PYTHON, [SCRIPT, ...args], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      MLFLOW_TRACKING_URI: url,
      MLFLOW_HTTP_REQUEST_TIMEOUT: String(options.timeoutSeconds),
      MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR: '1',
      MLFLOW_HTTP_REQUEST_BACKOFF_JITTER: '0.2',
      MLFLOW_DISABLE_TELEMETRY: 'true',
      DO_NOT_TRACK: 'true',
    },
  })
  const limit = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), END_LIMIT_MS)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  clearTimeout(limit)
  if (code !== 0) throw new Error(`MLflow's client ended with ${code}: ${err.slice(-2000)}`)
  // The client itself prints links to runs that it ends.
  const [written = ''] = out.trimEnd().split('\n').slice(-1)
  return toLedger(JSON.parse(written) as WrittenLedger, experiment_id, model)
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  return Buffer.concat(await Array.fromAsync(stream)).toString()
}

function toLedger(written: WrittenLedger, experiment_id: string, model: string): StockLedger {
  const { unknownRuns, raised, acknowledged } = written
  const runs = written.runs.map(
    ({ points, batches, artifacts, finished, ...run }): RunLedger => ({
      ...run,
      points: new Map(points),
      batches: new Map(batches),
      artifacts: new Map(artifacts),
      finished: finished ?? undefined,
    }),
  )
  const versions = new Map(written.versions.map(([name, version]) => [name, version ?? undefined]))
  const models = new Map(written.models)
  return {
    experiment_id,
    model,
    runs,
    unknownRuns,
    versions,
    models,
    faults: [],
    raised,
    acknowledged,
  }
}
