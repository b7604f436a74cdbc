import cluster from 'node:cluster'
import { setTimeout as wait } from 'node:timers/promises'

const RESTART_PAUSE_MS = 500
/** A worker that ends sooner than this will not get better by being started again at once. */
const STARTED_WELL_MS = 5000
const STOP_LIMIT_MS = 60_000

/** Whether this process is one of several that serve the same port. */
export function isWorker(): boolean {
  return cluster.isWorker
}

/** What a worker tells the process that started it once it serves. */
export interface WorkerReady {
  url: string
}

/**
 * Runs this same command in several processes, replaces those that end, and passes SIGTERM and
 * SIGINT on. Resolves with the exit code once all have ended.
 *
 * @param onReady called once, with what the first worker that serves says
 */
export async function superviseWorkers(
  count: number,
  onReady: (ready: WorkerReady) => void,
): Promise<number> {
  let isStopping = false
  let hasServed = false
  let exitCode = 0
  const { promise: allEnded, resolve } = Promise.withResolvers<void>()

  const begin = () => {
    const startedMs = Date.now()
    const worker = cluster.fork()
    worker.on('message', (message: WorkerReady) => {
      if (!hasServed) onReady(message)
      hasServed = true
    })
    worker.once('exit', (code) => void replace(code, Date.now() - startedMs))
  }
  const replace = async (code: number | null, livedMs: number) => {
    if (!isStopping && hasServed) {
      process.stderr.write(
        `millrace: a worker ended with ${code ?? 'a signal'}; starting another\n`,
      )
      if (livedMs < STARTED_WELL_MS) await wait(RESTART_PAUSE_MS)
      if (!isStopping) return begin()
    }
    if (!isStopping) {
      // One that cannot even start has said why, and the others would say the same.
      exitCode ||= code ?? 1
      stop()
    } else exitCode ||= code ?? 0
    if (Object.keys(cluster.workers ?? {}).length === 0) resolve()
  }
  const stop = () => {
    isStopping = true
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref()
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill('SIGTERM')
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => (isStopping ? process.exit(1) : stop()))
  }
  for (let i = 0; i < count; i++) begin()
  await allEnded
  return exitCode
}
