import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { lockFile } from '@millrace/scoring/environment-lock'
import type { PlaneSettings } from '../plane-settings.ts'
import { type ImageStore, openImageStore } from '../registry/image-store.ts'
import { type ObjectStore, openObjectStore } from '../s3/object-store.ts'
import { openState, type State } from '../state/open-state.ts'
import { findSetting, setSetting } from '../state/setting-store.ts'
import { claimTask, deleteTask, listTasks, type Task } from '../state/task-store.ts'
import { birthOf } from './instance/process-birth.ts'
import type { JobContext, JobKind } from './job-kind.ts'
import { Places } from './places.ts'

/** How often it is looked whether another process has changed the state; a look costs some 10 us. */
const LOOK_MS = 20
const RUNNER = 'runner'
/** Which process has the lock. */
const HOLDER = 'runner-process'
const STEP_ASIDE_MS = 60_000

export interface RunnerOptions {
  settings: PlaneSettings
  kinds: JobKind[]
  /** Ends the runner; its jobs' processes go on. */
  signal: AbortSignal
  /** How long another runner may take to step aside before it is killed; a minute unless given. */
  stepAsideMs?: number
  /** Aborted when nobody needs a runner that has nothing to do. */
  orphaned: AbortSignal
  log: (line: string) => void
}

/**
 * Carries on every job of a data directory until it is told to end. There is one runner at a time:
 * it holds a lock that the system frees when it dies, and then the next one adopts what it left.
 * A newer runner makes an older one step aside.
 */
export async function runJobs(options: RunnerOptions): Promise<void> {
  const { settings, signal } = options
  const { directory } = settings
  const state = openState(directory)
  const id = randomUUID()
  setSetting(state, RUNNER, id)
  using _lock = await takeLock(state, options)
  using objects = openObjectStore(join(directory, 's3'))
  using images = openImageStore(join(directory, 'registry'))
  const end = new AbortController()
  signal.addEventListener('abort', () => end.abort(), { once: true })
  if (signal.aborted) end.abort()
  const runner = new Runner({ ...options, signal: end.signal }, state, { objects, images })
  try {
    for (const task of listTasks(state, 'claimed')) runner.start(task)
    while (!end.signal.aborted) {
      runner.startQueued()
      if (options.orphaned.aborted && runner.isIdle) break
      await runner.changed()
      if (findSetting(state, RUNNER) !== id) end.abort()
    }
    end.abort()
    await runner.finished()
  } finally {
    end.abort()
    state.close()
  }
}

/**
 * The lock that makes this the runner. A runner that has it and does not step aside hangs; it is
 * killed, which frees the lock, and never before that does this one go on.
 */
async function takeLock(
  state: State,
  { settings, log, stepAsideMs = STEP_ASIDE_MS }: RunnerOptions,
): Promise<Disposable> {
  let patience: NodeJS.Timeout | undefined
  const lock = await lockFile(join(settings.directory, 'runner.lock'), () => {
    log('Another runner has the jobs; waiting for it to step aside.')
    patience = setTimeout(() => killHolder(state, log), stepAsideMs)
  })
  clearTimeout(patience)
  setSetting(state, HOLDER, JSON.stringify({ pid: process.pid, bornAt: birthOf('self') }))
  return lock
}

function killHolder(state: State, log: RunnerOptions['log']): void {
  const { pid, bornAt } = JSON.parse(findSetting(state, HOLDER) ?? '{}') as Partial<Holder>
  // A number alone may be somebody else's by now.
  if (!pid || !bornAt || birthOf(pid) !== bornAt) return
  log(`The other runner, ${pid}, hangs and is killed.`)
  process.kill(pid, 'SIGKILL')
}

interface Holder {
  pid: number
  bornAt: string
}

interface Stores {
  objects: ObjectStore
  images: ImageStore
}

class Runner {
  readonly #options: RunnerOptions
  readonly #state: State
  readonly #stores: Stores
  readonly #running = new Map<number, Promise<void>>()
  readonly #places: Places
  readonly #waiting = new Set<number>()
  #change = Promise.withResolvers<void>()

  constructor(options: RunnerOptions, state: State, stores: Stores) {
    this.#options = options
    this.#state = state
    this.#stores = stores
    this.#places = new Places(options.settings.places, () => this.#announce())
    let version = state.version()
    const look = setInterval(() => {
      const found = state.version()
      if (found === version && !options.orphaned.aborted) return
      version = found
      this.#announce()
    }, LOOK_MS)
    options.signal.addEventListener('abort', () => {
      clearInterval(look)
      this.#announce()
    })
  }

  get isIdle(): boolean {
    return this.#running.size === 0 && listTasks(this.#state, 'queued').length === 0
  }

  changed(): Promise<void> {
    return this.#options.signal.aborted ? Promise.resolve() : this.#change.promise
  }

  async finished(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  /** Starts, in their order, the tasks for which there is a place, and prepares the next ones. */
  startQueued(): void {
    for (const task of listTasks(this.#state, 'queued')) {
      const kind = this.#kindOf(task)
      const isOver = task.status === null || task.status === 'Stopping'
      if (isOver && kind?.cancel?.(this.#state, task.name)) {
        deleteTask(this.#state, task.id)
      } else if (!this.#mayStart(task, kind)) {
        if (!this.#waiting.has(task.id)) kind?.wait?.(this.#state, task.name)
        this.#waiting.add(task.id)
      } else if (claimTask(this.#state, task.id)) {
        this.#waiting.delete(task.id)
        this.start(task)
      }
    }
    this.#givePlaces(Number.POSITIVE_INFINITY)
  }

  #mayStart({ id, places }: Task, kind: JobKind | undefined): boolean {
    if (places === 0) return true
    if (kind?.preparesAhead) return this.#places.hasRoomAhead
    this.#givePlaces(id)
    return this.#places.free > 0
  }

  /** Gives the free places to those that are ready for one and were handed over before a task. */
  #givePlaces(beforeId: number): void {
    for (let { next } = this.#places; this.#places.free > 0; next = this.#places.next) {
      if (next === undefined || next > beforeId) return
      this.#places.give(next)
    }
  }

  start(task: Task): void {
    if (task.places > 0) {
      if (this.#kindOf(task)?.preparesAhead) this.#places.prepare(task.id)
      else this.#places.give(task.id)
    }
    const end = this.#carryOn(task).finally(() => {
      this.#running.delete(task.id)
      this.#places.leave(task.id)
      this.#announce()
    })
    this.#running.set(task.id, end)
  }

  async #carryOn(task: Task): Promise<void> {
    const { settings, signal, log } = this.#options
    const directory = join(settings.directory, 'jobs', task.kind, task.name)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const job: JobContext = {
      name: task.name,
      settings,
      state: this.#state,
      ...this.#stores,
      directory,
      number: task.id,
      signal,
      changed: () => this.changed(),
      ...this.#placeOf(task),
    }
    const kind = this.#kindOf(task)
    try {
      if (!kind) throw new Error(`There is no kind of job called ${task.kind}`)
      await kind.run(job)
    } catch (error) {
      if (signal.aborted) return
      log(`${task.kind} ${task.name}: ${describe(error)}`)
      try {
        kind?.fail(job, error)
      } catch (failure) {
        // Its resource is gone, or worse; the other jobs go on.
        log(`${task.kind} ${task.name} cannot be failed: ${describe(failure)}`)
      }
    }
    if (!signal.aborted) deleteTask(this.#state, task.id)
  }

  #kindOf({ kind }: Task): JobKind | undefined {
    return this.#options.kinds.find((known) => known.kind === kind)
  }

  #placeOf({ id, places }: Task): Pick<JobContext, 'takePlace' | 'freePlace'> {
    const all = this.#places
    const { signal } = this.#options
    return {
      async takePlace(stop, { isRunning } = { isRunning: false }) {
        if (isRunning) all.give(id)
        else if (places > 0) await all.wait(id, AbortSignal.any([stop, signal]))
      },
      freePlace: () => all.conclude(id, signal),
    }
  }

  #announce(): void {
    const { resolve } = this.#change
    this.#change = Promise.withResolvers()
    resolve()
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
