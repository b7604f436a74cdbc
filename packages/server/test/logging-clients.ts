import { createHash } from 'node:crypto'
import type { Agent } from 'node:http'
import { createAgent, sendRaw } from './fuzz-client.ts'
import { type Random, seededRandom } from './seeded-random.ts'

/** What became of a write: answered 200, or sent without an answer, so that either is right. */
export type Outcome = 'stored' | 'unknown'

/** Everything one run was told, by what became of it. */
export interface RunLedger {
  run_id: string
  run_name: string
  /** Steps of the metric `loss`; its value is the step. */
  points: Map<number, Outcome>
  /** Batches of the metrics `a`, `b`, `c` at a step with a param and a tag of that number. */
  batches: Map<number, Outcome>
  /** Values of the tag `progress` in the order in which they were set. */
  progress: [value: number, outcome: Outcome][]
  /** SHA-256 of artifacts by path; each path is written once. */
  artifacts: Map<string, [sha256: string, outcome: Outcome]>
  finished: Outcome | undefined
}

/** What all clients did between one start of the server and its end. */
export interface Ledger {
  experiment_id: string
  model: string
  runs: RunLedger[]
  /** Names of runs whose creation was not answered. */
  unknownRuns: string[]
  /** Descriptions of model versions, with the version where it was answered. */
  versions: Map<string, string | undefined>
  /** Names of registered models by what became of their creation. */
  models: Map<string, Outcome>
  /** Answers that no working server gives. */
  faults: string[]
  acknowledged: number
}

export function newLedger(experiment_id: string, model: string): Ledger {
  const maps = { versions: new Map(), models: new Map() }
  return { experiment_id, model, runs: [], unknownRuns: [], ...maps, faults: [], acknowledged: 0 }
}

interface Logging {
  port: number
  ledger: Ledger
  clients: number
  seed: number
  /** Points per run before it is finished and another one begun. */
  writesPerRun?: number
}

/**
 * Logs from several clients at once until the server no longer answers or `stop` is called, and
 * resolves when all of them have noticed.
 */
export function startLogging({ port, ledger, clients, seed, writesPerRun = 60 }: Logging) {
  let isStopped = false
  const agent = createAgent(clients)
  const isOver = () => isStopped
  const all = Array.from({ length: clients }, async (_, number) => {
    const client = new LoggingClient(port, agent, ledger, `${seed}-${number}`)
    const random = seededRandom(seed * 1000 + number)
    while (!isOver()) {
      if (!(await client.logRun(random, writesPerRun, isOver))) return
    }
  })
  const ended = Promise.all(all).then(() => agent.destroy())
  return {
    ended,
    async stop() {
      isStopped = true
      await ended
    },
  }
}

/** The connection broke: the server is gone, and the last write is of unknown outcome. */
class ConnectionLost extends Error {}

class LoggingClient {
  readonly #port: number
  readonly #agent: Agent
  readonly #ledger: Ledger
  readonly #name: string
  #count = 0

  constructor(port: number, agent: Agent, ledger: Ledger, name: string) {
    this.#port = port
    this.#agent = agent
    this.#ledger = ledger
    this.#name = name
  }

  /** Logs one run from its creation to its end; false when the server is gone. */
  async logRun(random: Random, writes: number, isOver: () => boolean): Promise<boolean> {
    try {
      const run = await this.#createRun()
      for (let i = 0; i < writes && !isOver(); i++) await this.#writeSomething(random, run)
      await this.#finish(run)
      return true
    } catch (error) {
      if (error instanceof ConnectionLost) return false
      throw error
    }
  }

  async #createRun(): Promise<RunLedger> {
    const run_name = `run-${this.#name}-${this.#count++}`
    const { experiment_id, runs, unknownRuns } = this.#ledger
    const index = unknownRuns.push(run_name) - 1
    const answer = await this.#post('runs/create', { experiment_id, run_name })
    unknownRuns.splice(unknownRuns.indexOf(run_name, Math.min(index, unknownRuns.length - 1)), 1)
    const { run } = answer as { run: { info: { run_id: string } } }
    const { run_id } = run.info
    const maps = { points: new Map(), batches: new Map(), artifacts: new Map() }
    const ledger = { run_id, run_name, ...maps, progress: [], finished: undefined }
    runs.push(ledger)
    return ledger
  }

  async #writeSomething(random: Random, run: RunLedger): Promise<void> {
    const kind = random.next()
    if (kind < 0.45) await this.#logPoint(run)
    else if (kind < 0.75) await this.#logBatch(run)
    else if (kind < 0.87) await this.#setProgress(run)
    else if (kind < 0.92) await this.#upload(random, run)
    else if (kind < 0.97) await this.#createVersion()
    else await this.#createModel()
  }

  async #logPoint({ run_id, points }: RunLedger): Promise<void> {
    const step = points.size
    points.set(step, 'unknown')
    await this.#post('runs/log-metric', { run_id, key: 'loss', value: step, timestamp: step, step })
    points.set(step, 'stored')
  }

  async #logBatch({ run_id, batches }: RunLedger): Promise<void> {
    const step = batches.size
    batches.set(step, 'unknown')
    const point = { value: step, timestamp: 1, step }
    await this.#post('runs/log-batch', {
      run_id,
      metrics: ['a', 'b', 'c'].map((key) => ({ key, ...point })),
      params: [{ key: `param-${step}`, value: String(step) }],
      tags: [{ key: `tag-${step}`, value: String(step) }],
    })
    batches.set(step, 'stored')
  }

  async #setProgress({ run_id, progress }: RunLedger): Promise<void> {
    const value = progress.length
    const entry: [number, Outcome] = [value, 'unknown']
    progress.push(entry)
    await this.#post('runs/set-tag', { run_id, key: 'progress', value: String(value) })
    entry[1] = 'stored'
  }

  async #upload(random: Random, { run_id, artifacts }: RunLedger): Promise<void> {
    const path = `folder/${artifacts.size}.bin`
    const body = Buffer.from(random.word(random.pick([10, 3000, 200_000])))
    const sha256 = createHash('sha256').update(body).digest('hex')
    artifacts.set(path, [sha256, 'unknown'])
    const url = `/api/2.0/mlflow-artifacts/artifacts/${this.#ledger.experiment_id}/${run_id}/artifacts/${path}`
    await this.#send('PUT', url, body)
    artifacts.set(path, [sha256, 'stored'])
  }

  async #createVersion(): Promise<void> {
    const { model: name, versions } = this.#ledger
    const description = `version ${this.#name}-${this.#count++}`
    versions.set(description, undefined)
    const source = 's3://bucket/model'
    const answer = await this.#post('model-versions/create', { name, source, description })
    const { model_version } = answer as { model_version: { version: string } }
    versions.set(description, model_version.version)
  }

  async #createModel(): Promise<void> {
    const name = `model-${this.#name}-${this.#count++}`
    this.#ledger.models.set(name, 'unknown')
    await this.#post('registered-models/create', { name, tags: [{ key: 'by', value: this.#name }] })
    this.#ledger.models.set(name, 'stored')
  }

  async #finish(run: RunLedger): Promise<void> {
    run.finished = 'unknown'
    await this.#post('runs/update', { run_id: run.run_id, status: 'FINISHED', end_time: 1 })
    run.finished = 'stored'
  }

  #post(path: string, body: object): Promise<unknown> {
    return this.#send('POST', `/api/2.0/mlflow/${path}`, Buffer.from(JSON.stringify(body)))
  }

  async #send(method: string, url: string, body: Buffer): Promise<unknown> {
    const headers = { 'content-type': 'application/json' }
    const answer = await sendRaw(this.#port, { method, url, headers, body }, this.#agent).catch(
      (cause: unknown) => {
        throw new ConnectionLost('the connection broke', { cause })
      },
    )
    const text = answer.body.toString()
    if (answer.status === 503 && answer.headers['retry-after'] !== undefined) {
      throw new ConnectionLost('asked to come back later')
    }
    if (answer.status !== 200) {
      this.#ledger.faults.push(`${method} ${url} -> ${answer.status} ${text.slice(0, 300)}`)
      throw new ConnectionLost(`answered ${answer.status}`)
    }
    this.#ledger.acknowledged++
    return text === '' ? {} : JSON.parse(text)
  }
}
