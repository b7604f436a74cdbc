import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, watch, writeFileSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { cacheDirectory } from '@millrace/scoring/python-environment'
import { type Beginning, InstanceEnd, type InstanceSpec, InstanceStart } from './instance-spec.ts'
import { birthOf } from './process-birth.ts'

// Beside this file, in the sources as in the bundle, where this may be a part of another file.
const SUPERVISOR = join(import.meta.dirname, `supervisor${extname(import.meta.filename)}`)
/** A supervisor that has not said that it is there after this long is not there. */
const START_MS = 15_000
const LOOK_MS = 500
const STARTING_LOOK_MS = 20
/** How often an instance that was killed before it began is made ready again. */
const ARMED_TRIES = 3
/** One that waits goes by itself as soon as its input ends; it may be making a root just then. */
const DISARM_LIMIT_MS = 10_000
const FLAGS = ['--enable-experimental-regexp-engine-on-excessive-backtracks', '--no-warnings']

/** An instance of a job, whoever has started it. */
export interface Instance {
  /**
   * How it ended. Told by its supervisor; `lost` when that was killed. Never when `signal` is aborted
   * first: then it rejects, and the instance goes on.
   */
  ended(signal: AbortSignal): Promise<InstanceEnd>
  /** Tells it to end: SIGTERM now, SIGKILL after the grace of its spec. */
  stop(): Promise<void>
  /** Ends it at once. */
  kill(): Promise<void>
}

/**
 * Starts an instance, or adopts it when it was started before, by this process or one that is gone.
 * An instance is never started twice: its supervisor refuses a folder that another one has.
 */
export async function startInstance(
  spec: InstanceSpec,
  environment: Record<string, string>,
): Promise<Instance> {
  const { directory } = spec
  let child: ChildProcess | undefined
  if ((await findStart(directory)) === undefined) {
    writeFileSync(join(directory, 'spec.json'), JSON.stringify(spec), { mode: 0o600 })
    child = spawnSupervisor(spec, environment)
  }
  const startedAtMs = Date.now()
  return {
    ended: (signal) => waitForEnd(directory, { child, startedAtMs, signal }),
    stop: () => signalSupervisor(directory, 'SIGTERM'),
    kill: () => signalSupervisor(directory, 'SIGKILL'),
  }
}

/** An instance that has everything ready, and whose program is not started before it is told. */
export interface ArmedInstance {
  /** Starts the program, or adopts it when it was started before. */
  begin(beginning: Beginning): Instance
  /** Ends one that has not begun; resolved once nothing uses its files any more. */
  disarm(): Promise<void>
}

/**
 * Makes an instance ready in a process that ends with this one unless it has begun. Whoever kills that
 * process before it has begun costs nothing but time: another one takes its place, and the program is
 * still started once.
 */
export async function armInstance(
  spec: InstanceSpec,
  environment: Record<string, string>,
): Promise<ArmedInstance> {
  const { directory } = spec
  const arm = async () => {
    await forgetArmed(directory)
    writeFileSync(
      join(directory, 'spec.json'),
      JSON.stringify({ ...spec, waits: true } satisfies InstanceSpec),
      { mode: 0o600 },
    )
    return spawnSupervisor(spec, environment, 'pipe')
  }
  let child = hasBegun(directory) ? undefined : await arm()
  const ended = async (beginning: Beginning, startedAtMs: number, signal: AbortSignal) => {
    for (let tries = 1; ; tries += 1) {
      const end = await waitForEnd(directory, { child, startedAtMs, signal })
      if (end.reason !== 'lost' || hasBegun(directory) || tries === ARMED_TRIES) return end
      child = await arm()
      tell(child, beginning)
      startedAtMs = Date.now()
    }
  }
  return {
    begin(beginning) {
      if (child) tell(child, beginning)
      const startedAtMs = Date.now()
      return {
        ended: (signal) => ended(beginning, startedAtMs, signal),
        stop: () => signalSupervisor(directory, 'SIGTERM'),
        kill: () => signalSupervisor(directory, 'SIGKILL'),
      }
    },
    async disarm() {
      if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.stdin?.destroy()
      const limit = setTimeout(() => child?.kill('SIGKILL'), DISARM_LIMIT_MS)
      await gone
      clearTimeout(limit)
    },
  }
}

function tell({ stdin }: ChildProcess, beginning: Beginning): void {
  // One that has been killed is found to be gone by what it does not do.
  stdin?.on('error', () => undefined)
  stdin?.write(`${JSON.stringify(beginning)}\n`)
}

function hasBegun(directory: string): boolean {
  return existsSync(join(directory, 'begun.json'))
}

/** Removes what says that an instance is supervised when its supervisor waits, for nobody. */
async function forgetArmed(directory: string): Promise<void> {
  const start = await findStart(directory)
  if (start !== undefined && birthOf(start.pid) === start.bornAt) {
    process.kill(start.pid, 'SIGKILL')
    while (birthOf(start.pid) === start.bornAt) await wait(STARTING_LOOK_MS)
  }
  await rm(join(directory, 'started.json'), { force: true })
}

/** How an instance has ended; undefined when it has not. */
export async function findEnd(directory: string): Promise<InstanceEnd | undefined> {
  const text = await readText(join(directory, 'exit.json'))
  return text === undefined ? undefined : InstanceEnd.parse(JSON.parse(text))
}

/** Who supervises an instance; undefined when nobody has begun to. */
export async function findStart(directory: string): Promise<InstanceStart | undefined> {
  const text = await readText(join(directory, 'started.json'))
  return text?.endsWith('\n') ? InstanceStart.parse(JSON.parse(text)) : undefined
}

function spawnSupervisor(
  spec: InstanceSpec,
  environment: Record<string, string>,
  input: 'ignore' | 'pipe' = 'ignore',
): ChildProcess {
  const errors = openSync(join(spec.directory, 'supervisor.log'), 'a', 0o600)
  const command = [
    ...enter(spec),
    process.execPath,
    ...FLAGS,
    SUPERVISOR,
    spec.directory,
    environment['PATH'] ?? '',
  ]
  try {
    const child = spawn(command[0] ?? process.execPath, command.slice(1), {
      detached: true,
      stdio: [input, errors, errors],
      env: {
        ...environment,
        NODE_NO_WARNINGS: '1',
        // A quarter of the time to start.
        NODE_COMPILE_CACHE: join(cacheDirectory(environment), 'node'),
      },
    })
    child.unref()
    // Not to be found is told by what it does not do.
    child.once('error', () => undefined)
    return child
  } finally {
    closeSync(errors)
  }
}

function enter({ isolation, hasNetwork }: InstanceSpec): string[] {
  if (isolation.kind === 'none') return []
  const spaces = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--ipc']
  const network = hasNetwork ? [] : ['--net']
  const user = isolation.kind === 'user-namespace' ? ['--user', '--map-root-user'] : []
  return ['unshare', ...user, ...spaces, ...network, '--']
}

interface Waiting {
  child: ChildProcess | undefined
  startedAtMs: number
  signal: AbortSignal
}

async function waitForEnd(
  directory: string,
  { child, startedAtMs, signal }: Waiting,
): Promise<InstanceEnd> {
  let look = Promise.withResolvers<void>()
  const wake = () => {
    look.resolve()
    look = Promise.withResolvers()
  }
  const watcher = watch(directory, wake)
  child?.once('exit', wake)
  signal.addEventListener('abort', wake)
  try {
    for (;;) {
      const end = await findEnd(directory)
      if (end) return end
      signal.throwIfAborted()
      if (await isLost(directory, startedAtMs)) {
        // It may have told its end and died between the two looks.
        return (await findEnd(directory)) ?? lost(startedAtMs)
      }
      await Promise.race([look.promise, wait(LOOK_MS, undefined, { ref: false })])
    }
  } finally {
    watcher.close()
    signal.removeEventListener('abort', wake)
  }
}

async function isLost(directory: string, startedAtMs: number): Promise<boolean> {
  const start = await findStart(directory)
  if (start === undefined) return Date.now() - startedAtMs > START_MS
  return birthOf(start.pid) !== start.bornAt
}

function lost(startedMs: number): InstanceEnd {
  return { reason: 'lost', step: 0, errorOutput: '', startedMs, endedMs: Date.now() }
}

async function signalSupervisor(directory: string, signal: NodeJS.Signals): Promise<void> {
  const start = await waitForStart(directory)
  if (start === undefined || birthOf(start.pid) !== start.bornAt) return
  try {
    process.kill(start.pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}

/** A supervisor that has just been started has first to say who it is. */
async function waitForStart(directory: string): Promise<InstanceStart | undefined> {
  for (const untilMs = Date.now() + START_MS; Date.now() < untilMs; ) {
    const start = await findStart(directory)
    if (start) return start
    await wait(STARTING_LOOK_MS)
  }
  return undefined
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
