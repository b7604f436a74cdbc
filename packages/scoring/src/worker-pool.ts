import { ApiError } from '@millrace/api/errors'
import type { Answer, RunningWorker, WorkerEvents } from './worker-process.ts'

export interface PoolOptions {
  workers: number
  /** How many requests one worker may run at once. */
  threads: number
  /** From the arrival of a request's body to its answer. */
  timeoutMs: number
  /** How many requests may wait, and how many bytes they may hold. */
  queueMax: number
  queueBytesMax: number
  start: (events: WorkerEvents, signal: AbortSignal) => Promise<RunningWorker>
  log: (line: string) => void
}

export type Answered = Answer | 'timed out'

interface Job {
  id: number
  contentType: string
  body: Buffer
  /** Set for a request whose worker died: it gets one of its own, so that it can harm nobody. */
  isAlone: boolean
  timer: NodeJS.Timeout
  slot: Slot | undefined
  resolve(answer: Answered): void
  reject(error: Error): void
}

/** One worker process, from its start to its end. */
interface Slot {
  worker: RunningWorker
  running: Map<number, Job>
  /** Requests that timed out and still hold a thread. */
  stuck: Set<number>
  lastSentAt: number
  hasAnswered: boolean
  isBeingReplaced: boolean
}

// A request gets the interpreter to itself for this long. Quick models are quickest one request at a
// time, because threads only fight for the interpreter; those that wait for others overlap.
const ALONE_MS = 10
const RETRY_DELAYS_MS = [0, 500, 1_000, 2_000, 5_000, 10_000, 30_000]

/**
 * The workers of one model and the requests that wait for them. A worker that dies is replaced, and
 * the requests that it ran are run once more, each alone on a worker: the one that kills fails, the
 * others do not notice. A worker with a request beyond the time limit is replaced too, and keeps
 * answering others until its successor is ready if its interpreter still reacts.
 */
export class WorkerPool implements AsyncDisposable {
  readonly #options: PoolOptions
  readonly #slots: (Slot | undefined)[]
  /** Replaced, with requests still running. */
  readonly #leaving = new Set<Slot>()
  readonly #queue: Job[] = []
  readonly #ending = new AbortController()
  readonly #fillings = new Map<number, Promise<void>>()
  #queueBytes = 0
  #runningCount = 0
  #lastId = 0
  #failures = 0
  #pumpTimer: NodeJS.Timeout | undefined
  #isClosing = false
  #whenIdle: (() => void) | undefined

  /**
   * Starts the workers and waits until each has loaded the model.
   *
   * @throws Error with why the model could not be loaded
   */
  static async open(options: PoolOptions, signal?: AbortSignal): Promise<WorkerPool> {
    const pool = new WorkerPool(options)
    const abort = () => pool.#ending.abort(signal?.reason)
    signal?.addEventListener('abort', abort)
    try {
      signal?.throwIfAborted()
      await Promise.all(pool.#slots.map((_, place) => pool.#fillOnce(place)))
      return pool
    } catch (error) {
      await pool.#end()
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  private constructor(options: PoolOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.workers }, () => undefined)
  }

  /** What answers: the MLflow and what runs the model; undefined while no worker is ready. */
  get versions(): { mlflow: string; runtime: string } | undefined {
    const worker = this.#slots.find((slot) => slot !== undefined)?.worker
    return worker && { mlflow: worker.mlflowVersion, runtime: worker.runtime }
  }

  /** The process ids of the workers that take requests. */
  get pids(): number[] {
    return this.#slots.flatMap((slot) => (slot ? [slot.worker.pid] : []))
  }

  /** Throws what a request that comes now would be refused with. */
  refuseWhenFull(): void {
    if (this.#isClosing) throw unavailable('The server is being stopped.')
    const { queueMax, queueBytesMax } = this.#options
    if (this.#queue.length < queueMax && this.#queueBytes < queueBytesMax) return
    throw unavailable(`${this.#queue.length} requests are waiting already.`)
  }

  /**
   * Has a worker answer the request. Once `signal` aborts, nobody waits for the answer any more.
   *
   * @throws ApiError TEMPORARILY_UNAVAILABLE when too many wait, INTERNAL_ERROR when a worker died of
   * the request
   */
  invoke(contentType: string, body: Buffer, signal?: AbortSignal): Promise<Answered> {
    return new Promise((resolve, reject) => {
      this.refuseWhenFull()
      this.#lastId += 1
      const timer = setTimeout(() => this.#timeOut(job), this.#options.timeoutMs)
      const job: Job = {
        id: this.#lastId,
        contentType,
        body,
        isAlone: false,
        timer,
        slot: undefined,
        resolve,
        reject,
      }
      signal?.addEventListener('abort', () => this.#forget(job), { once: true })
      this.#enqueue(job)
      this.#pump()
    })
  }

  /** Answers what has been accepted and ends the workers; later requests are refused. */
  async close(): Promise<void> {
    this.#isClosing = true
    if (this.#queue.length + this.#runningCount > 0) {
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve
      })
    }
    await this.#end()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #end() {
    this.#isClosing = true
    clearTimeout(this.#pumpTimer)
    this.#ending.abort(new Error('The server is being stopped.'))
    await Promise.allSettled(this.#fillings.values())
    const slots = [...this.#slots, ...this.#leaving].filter((slot) => slot !== undefined)
    await Promise.all(slots.map(({ worker }) => worker.close()))
  }

  #enqueue(job: Job) {
    this.#queue.push(job)
    this.#queueBytes += job.body.length
  }

  /** Takes a request out of the queue; false when it is not in it. */
  #dequeue(job: Job): boolean {
    const index = this.#queue.indexOf(job)
    if (index < 0) return false
    this.#queue.splice(index, 1)
    this.#queueBytes -= job.body.length
    return true
  }

  /** Gives waiting requests to workers as long as one can take the next. */
  #pump() {
    while (this.#queue.length > 0) {
      const [job] = this.#queue
      const slot = job && this.#chooseSlot(job)
      if (!slot) break
      this.#dequeue(job)
      this.#send(job, slot)
    }
    if (this.#queue.length > 0) this.#pumpTimer ??= setTimeout(() => this.#pumpAgain(), ALONE_MS)
    else if (this.#isClosing && this.#runningCount === 0) this.#whenIdle?.()
  }

  #pumpAgain() {
    this.#pumpTimer = undefined
    this.#pump()
  }

  #chooseSlot({ isAlone }: Job): Slot | undefined {
    const now = performance.now()
    let best: Slot | undefined
    for (const slot of this.#slots) {
      if (!slot || (isAlone && slot.running.size > 0)) continue
      const load = slot.running.size + slot.stuck.size
      if (load >= this.#options.threads) continue
      const isBusy = slot.running.size > 0
      if (isBusy && now - slot.lastSentAt < ALONE_MS) continue
      if (isBusy && [...slot.running.values()].some((job) => job.isAlone)) continue
      if (!best || load < best.running.size + best.stuck.size) best = slot
    }
    return best
  }

  #send(job: Job, slot: Slot) {
    job.slot = slot
    slot.running.set(job.id, job)
    slot.lastSentAt = performance.now()
    this.#runningCount += 1
    slot.worker.send(job.id, job.contentType, job.body)
  }

  /** Takes a request off its worker; undefined when it is not there any more. */
  #takeBack(slot: Slot, id: number): Job | undefined {
    const job = slot.running.get(id)
    if (!job) return undefined
    slot.running.delete(id)
    this.#runningCount -= 1
    job.slot = undefined
    return job
  }

  #answer(slot: Slot, id: number, answer: Answer) {
    slot.hasAnswered = true
    this.#failures = 0
    slot.stuck.delete(id)
    const job = this.#takeBack(slot, id)
    if (job) {
      clearTimeout(job.timer)
      job.resolve(answer)
    }
    this.#endWhenLeft(slot)
    this.#pump()
  }

  #timeOut(job: Job) {
    const { slot } = job
    job.resolve('timed out')
    if (slot) {
      this.#takeBack(slot, job.id)
      slot.stuck.add(job.id)
      void this.#replace(slot)
    } else this.#dequeue(job)
    this.#pump()
  }

  /** The client has gone: a request that still waits need not be run. */
  #forget(job: Job) {
    if (!this.#dequeue(job)) return
    clearTimeout(job.timer)
    job.reject(new Error('The client has closed the connection.'))
    this.#pump()
  }

  async #replace(slot: Slot) {
    this.#endWhenLeft(slot)
    const place = this.#slots.indexOf(slot)
    if (slot.isBeingReplaced || place < 0) return
    slot.isBeingReplaced = true
    this.#options.log(`Worker ${slot.worker.pid} did not answer in time and is being replaced.`)
    if (!(await slot.worker.isResponsive())) slot.worker.kill()
    else if (this.#slots[place] === slot) await this.#refill(place)
  }

  /** Ends a worker that has been replaced and has no more requests to answer. */
  #endWhenLeft(slot: Slot) {
    if (!this.#leaving.has(slot) || slot.running.size > 0) return
    if (slot.stuck.size > 0) slot.worker.kill()
    else void slot.worker.close()
  }

  #lose(slot: Slot, reason: string) {
    this.#leaving.delete(slot)
    const place = this.#slots.indexOf(slot)
    if (place >= 0) this.#slots[place] = undefined
    if (!slot.hasAnswered) this.#failures += 1
    const jobs = [...slot.running.keys()].flatMap((id) => this.#takeBack(slot, id) ?? [])
    if (place >= 0 || jobs.length > 0) {
      this.#options.log(`Worker ${slot.worker.pid} ${reason} with ${jobs.length} requests running.`)
    }
    for (const job of jobs.reverse()) this.#runAgain(job, reason)
    if (place >= 0) void this.#refill(place)
    this.#pump()
  }

  /** A request whose worker died is run a second time, before others, and not a third time. */
  #runAgain(job: Job, reason: string) {
    if (!job.isAlone) {
      job.isAlone = true
      this.#queue.unshift(job)
      this.#queueBytes += job.body.length
      return
    }
    clearTimeout(job.timer)
    const message = `The process that ran the model ${reason} while it worked on this request, twice.`
    job.reject(new ApiError('INTERNAL_ERROR', message))
  }

  /** Puts a new worker in a place once it is ready, trying until it is. */
  async #refill(place: number): Promise<void> {
    const { signal } = this.#ending
    // A worker may die while its successor is being started already.
    if (this.#fillings.has(place)) return
    while (!signal.aborted) {
      const delayMs = RETRY_DELAYS_MS[Math.min(this.#failures, RETRY_DELAYS_MS.length - 1)] ?? 0
      try {
        await this.#fillOnce(place, delayMs)
        return
      } catch (error) {
        if (signal.aborted) return
        this.#failures += 1
        this.#options.log(error instanceof Error ? error.message : String(error))
      }
    }
  }

  async #fillOnce(place: number, delayMs = 0): Promise<void> {
    const filling = this.#fill(place, delayMs)
    this.#fillings.set(place, filling)
    try {
      await filling
    } finally {
      this.#fillings.delete(place)
    }
  }

  async #fill(place: number, delayMs: number): Promise<void> {
    const { signal } = this.#ending
    if (delayMs > 0) await pause(delayMs, signal)
    signal.throwIfAborted()
    const events: WorkerEvents = {
      onAnswer: (id, answer) => this.#answer(slot, id, answer),
      onExit: (reason) => this.#lose(slot, reason),
    }
    const worker = await this.#options.start(events, signal)
    const slot: Slot = {
      worker,
      running: new Map(),
      stuck: new Set(),
      lastSentAt: 0,
      hasAnswered: false,
      isBeingReplaced: false,
    }
    const replaced = this.#slots[place]
    this.#slots[place] = slot
    if (replaced) {
      this.#leaving.add(replaced)
      this.#endWhenLeft(replaced)
    }
    this.#pump()
  }
}

function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, delayMs)
    signal.addEventListener('abort', end)
  })
}

function unavailable(message: string): ApiError {
  return new ApiError('TEMPORARILY_UNAVAILABLE', message, { retryAfterSeconds: 1 })
}
