import { availableParallelism } from 'node:os'
import { fetchModel, readFetchOptions } from '@millrace/models/fetch-model'
import type { TrackingServer } from '@millrace/models/tracking-server'
import type { RuntimeOptions } from './model-runtime.ts'
import { createScoringApp } from './scoring-app.ts'
import { startModel } from './start-model.ts'
import { WorkerPool } from './worker-pool.ts'
import { startWorker } from './worker-process.ts'

export interface ServeOptions extends RuntimeOptions {
  modelUri: string
  tracking: TrackingServer | undefined
  host: string
  /** 0 for a free one. */
  port: number
  workers: number
  /** From the arrival of a request's body to its answer. */
  timeoutMs: number
  bodyBytesMax: number
  /** From the first byte of a request to the last; 60 s unless given. */
  receiveTimeoutMs?: number
  /** How many requests may wait for a worker. */
  queueMax: number
  /** What the model prints. */
  onOutput: (chunk: Buffer) => void
}

/** A model that answers. */
export interface ScoringServer extends AsyncDisposable {
  url: string
  pool: WorkerPool
  /** Takes no more requests, answers those it has, ends the workers and removes fetched files. */
  close(): Promise<void>
}

const QUEUE_BYTES_MAX = 512 * 2 ** 20
const RECEIVE_TIMEOUT_MS = 60_000
// The stock server's thread pool (Python's `asyncio.to_thread`), so that a model meets no more
// parallel calls here than there.
const THREADS = Math.min(32, availableParallelism() + 4)

/**
 * Fetches a model, prepares its environment, loads it and serves it.
 *
 * @throws Error with the step that failed and why; nothing is left behind
 */
export async function serveModel(options: ServeOptions): Promise<ScoringServer> {
  const { onOutput, signal, workers, timeoutMs, queueMax, log } = options
  await using started = new AsyncDisposableStack()
  const fetching = { ...readFetchOptions(options.environment), signal }
  const model = started.use(await fetchModel(options.modelUri, options.tracking, fetching))
  const pool = await startModel(model.directory, options, ({ program, environment }) => {
    // The ONNX runtime does one thing at a time.
    const threads = program.kind === 'onnx' ? 1 : THREADS
    const settings = { program, environment, modelDirectory: model.directory, threads, onOutput }
    return WorkerPool.open(
      {
        workers,
        threads,
        timeoutMs,
        queueMax,
        queueBytesMax: QUEUE_BYTES_MAX,
        start: (events, signal) => startWorker(settings, events, signal),
        log,
      },
      signal,
    )
  })
  started.use(pool)
  const { bodyBytesMax, receiveTimeoutMs = RECEIVE_TIMEOUT_MS, host, port } = options
  const app = createScoringApp(pool, { bodyBytesMax, receiveTimeoutMs })
  started.defer(() => app.close())
  const url = await app.listen({ host, port })
  const running = started.move()
  const close = () => running.disposeAsync()
  return { url, pool, close, [Symbol.asyncDispose]: close }
}
