import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { findEnd, findStart, type Instance, startInstance } from '../runner/instance/instance.ts'
import type { InstanceEnd, InstanceSpec } from '../runner/instance/instance-spec.ts'
import { freePort } from './free-port.ts'
import { isCutOff, keepRelay } from './open-relay.ts'
import { type Pong, ping } from './ping.ts'

const STARTING_LOOK_MS = 100
const WELL_LOOK_MS = 2_000
const FAILED_PINGS_MAX = 3
/** A server that ends this often before it has ever answered will not come to answer. */
const ENDS_MAX = 3
const RESTART_MS = 200
const RESTART_MS_MAX = 10_000
const LOG_LINES = 50

export interface KeeperOptions {
  /** Of the server; `plan.json` in it says what is started. */
  directory: string
  /** Where it was started before, else 0. */
  port: number
  isReady: boolean
  /** For the supervisor, not for the server. */
  environment: Record<string, string>
  /** How long it may take to answer its first ping. */
  startupMs: number
  /** Ports of others. */
  takenPorts: () => Iterable<number>
  onState: (state: { port: number; isReady: boolean }) => void
  /** Aborted when the runner ends; the server goes on. */
  signal: AbortSignal
}

/** Why a server does not come to answer: completes "... did not pass the ping health check". */
export class NoAnswer extends Error {}

/**
 * Keeps one server alive: starts it or adopts it, pings it, and starts it again when it ends or says
 * nothing any more.
 */
export class ServerKeeper {
  readonly #options: KeeperOptions
  readonly #ready = Promise.withResolvers<void>()
  readonly #stop = new AbortController()
  readonly #kept: Promise<void>
  #state: { port: number; isReady: boolean }
  #instance: Instance | undefined
  #wasReady: boolean
  #startedMs = Date.now()
  #listenedMs: number | undefined
  #lastPong: Pong = { kind: 'refused' }

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#state = { port: options.port, isReady: options.isReady }
    this.#wasReady = options.isReady
    this.#ready.promise.catch(() => undefined)
    if (options.isReady) this.#ready.resolve()
    // Whoever waits for it is told when the runner ends, too, or could not end itself.
    this.#kept = this.#keep().catch((error: unknown) => this.#ready.reject(error))
  }

  /** Resolves when it has answered once; rejects with `NoAnswer` when it does not come to that. */
  get ready(): Promise<void> {
    return this.#ready.promise
  }

  get port(): number {
    return this.#state.port
  }

  /** Ends it, and resolves when nothing of it is left. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#instance?.stop()
    await this.#kept
  }

  async #keep(): Promise<void> {
    const { directory, environment, signal, takenPorts, startupMs } = this.#options
    const limit = setTimeout(() => void this.#giveUp(undefined), startupMs)
    let pauseMs = RESTART_MS
    try {
      for (let ends = 0; !this.#stop.signal.aborted; ) {
        const isAdopted = (await findStart(directory)) !== undefined
        const known = isAdopted ? this.#state.port : 0
        const port = known || (await freePort(takenPorts()))
        this.#set({ port, isReady: isAdopted && this.#state.isReady })
        this.#startedMs = Date.now()
        const plan = await readPlan(directory, port)
        this.#instance = await startInstance(plan, environment)
        if (this.#stop.signal.aborted) await this.#instance.stop()
        const end = await this.#watch(this.#instance, plan, port)
        this.#instance = undefined
        if (this.#stop.signal.aborted) return
        ends += 1
        this.#set({ port: 0, isReady: false })
        await forgetRun(directory)
        if (!this.#wasReady && ends >= ENDS_MAX) return await this.#giveUp(end)
        if (Date.now() - this.#startedMs > RESTART_MS_MAX) pauseMs = RESTART_MS
        const either = AbortSignal.any([signal, this.#stop.signal])
        await wait(pauseMs, undefined, { signal: either }).catch(() => undefined)
        signal.throwIfAborted()
        pauseMs = Math.min(pauseMs * 2, RESTART_MS_MAX)
      }
    } finally {
      clearTimeout(limit)
    }
  }

  async #watch(instance: Instance, plan: InstanceSpec, port: number): Promise<InstanceEnd> {
    const { environment, signal } = this.#options
    const over = new AbortController()
    const either = AbortSignal.any([over.signal, signal])
    const relayed = isCutOff(plan) ? keepRelay(plan, port, environment, either) : undefined
    const pinged = this.#pingUntil(instance, port, either)
    try {
      return await instance.ended(signal)
    } finally {
      over.abort()
      await Promise.all([pinged, relayed])
    }
  }

  async #pingUntil(instance: Instance, port: number, over: AbortSignal): Promise<void> {
    for (let failed = 0; !over.aborted; ) {
      const pong = await ping(port, over)
      if (over.aborted) return
      this.#lastPong = pong
      if (pong.kind !== 'refused') this.#listenedMs ??= Date.now() - this.#startedMs
      if (pong.kind === 'well') {
        failed = 0
        this.#wasReady = true
        this.#set({ port, isReady: true })
        this.#ready.resolve()
      } else if (this.#state.isReady) {
        failed += 1
        if (failed >= FAILED_PINGS_MAX) {
          this.#set({ port, isReady: false })
          await instance.kill()
        }
      }
      const pauseMs = this.#state.isReady && failed === 0 ? WELL_LOOK_MS : STARTING_LOOK_MS
      await wait(pauseMs, undefined, { signal: over, ref: false }).catch(() => undefined)
    }
  }

  #set(state: { port: number; isReady: boolean }): void {
    if (state.port === this.#state.port && state.isReady === this.#state.isReady) return
    this.#state = state
    this.#options.onState(state)
  }

  async #giveUp(end: InstanceEnd | undefined): Promise<void> {
    if (this.#wasReady) return
    const { directory, startupMs } = this.#options
    const log = await lastLines(directory, LOG_LINES)
    const reason = end
      ? `Its process ${endText(end)} before it answered, ${ENDS_MAX} times.`
      : `It had ${startupMs / 1000} s (ContainerStartupHealthCheckTimeoutInSeconds) to answer /ping with 200, ` +
        `and ${pongText(this.#lastPong, this.#state.port, this.#listenedMs)}.`
    const tail =
      log.length === 0 ? ' It printed nothing.' : ` Its log ends with:\n${log.join('\n')}`
    this.#ready.reject(new NoAnswer(reason + tail))
  }
}

/** Ends a server that nobody keeps. */
export async function endServer(
  directory: string,
  environment: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  if ((await findStart(directory)) === undefined || (await findEnd(directory)) !== undefined) return
  const instance = await startInstance(await readPlan(directory, 0), environment)
  await instance.stop()
  await instance.ended(signal)
}

async function readPlan(directory: string, port: number): Promise<InstanceSpec> {
  // Written by `prepareServer` from the same type.
  const plan = JSON.parse(await readFile(join(directory, 'plan.json'), 'utf8')) as InstanceSpec
  const names = [
    'SAGEMAKER_BIND_TO_PORT',
    ...('MLFLOW_PORT' in plan.environment ? ['MLFLOW_PORT'] : []),
  ]
  const ports = Object.fromEntries(names.map((name) => [name, String(port)]))
  return { ...plan, environment: { ...plan.environment, ...ports } }
}

/** An instance is started once in a folder: what says that it was is removed after its end. */
async function forgetRun(directory: string): Promise<void> {
  for (const name of ['started.json', 'exit.json']) await rm(join(directory, name), { force: true })
}

async function lastLines(directory: string, count: number): Promise<string[]> {
  const text = await readFile(join(directory, 'output.log'), 'utf8').catch(() => '')
  return text
    .trimEnd()
    .split('\n')
    .slice(-count)
    .map((line) => line.replace(/^\d+ /, ''))
    .filter((line) => line !== '')
}

function endText({ reason, code, signal }: InstanceEnd): string {
  switch (reason) {
    case 'memory':
      return 'was ended because it held more memory than its instance type has here'
    case 'processes':
      return 'was ended because it started too many processes'
    case 'disk':
      return 'was ended because it wrote more than its volume takes'
    case 'not-started':
      return 'could not be started'
    default:
      return signal === undefined ? `ended with exit code ${code}` : `was ended by ${signal}`
  }
}

function pongText(pong: Pong, port: number, listenedMs: number | undefined): string {
  if (listenedMs === undefined) {
    return (
      `nothing listened at port ${port}, which the variable SAGEMAKER_BIND_TO_PORT named: a server has to ` +
      'listen there and not at 8080'
    )
  }
  const since = `it listened after ${(listenedMs / 1000).toFixed(1)} s`
  switch (pong.kind) {
    case 'status':
      return `${since}, but /ping answered ${pong.status}`
    case 'refused':
      return `${since}, but no longer does`
    default:
      return `${since}, but /ping did not answer within 2 s`
  }
}
