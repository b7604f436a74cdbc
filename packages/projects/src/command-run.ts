import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { invalid } from '@millrace/api/errors'
import type { ProjectEnding } from './tracked-run.ts'

/** Why a run is being stopped: the signal that is passed on to its command. */
export class Interruption extends Error {
  override readonly name = 'Interruption'
  readonly signal: NodeJS.Signals

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`)
    this.signal = signal
  }
}

export interface CommandOptions {
  argv: readonly [program: string, ...args: string[]]
  directory: string
  environment: NodeJS.ProcessEnv
  /** Aborted with an `Interruption`; the command then has `graceMs` to end. */
  signal: AbortSignal
  graceMs?: number
  onOutput: (chunk: Buffer, stream: 'stdout' | 'stderr') => void
  /** Called with the process group as soon as there is one. */
  onStart?: (groupId: number) => void
}

const GRACE_MS = 30_000
const LEFTOVER_MS = 2_000
const POLL_MS = 20
/** Signals by which a process is ended on purpose; by others it fails. */
const STOPPING: readonly string[] = ['SIGTERM', 'SIGINT', 'SIGKILL', 'SIGHUP', 'SIGQUIT']

/**
 * Runs a command to its end in a process group of its own, which is gone when this returns. A signal
 * to stop is passed on to all of the group; what does not end by itself is killed.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the program cannot be started
 */
export async function runCommand(options: CommandOptions): Promise<ProjectEnding> {
  const { argv, directory, environment, signal, onOutput } = options
  signal.throwIfAborted()
  const [program, ...args] = argv
  const child = spawn(program, args, {
    cwd: directory,
    // Without this Python keeps what it prints until there is much of it.
    env: { PYTHONUNBUFFERED: '1', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  child.stdout.on('data', (chunk: Buffer) => onOutput(chunk, 'stdout'))
  child.stderr.on('data', (chunk: Buffer) => onOutput(chunk, 'stderr'))
  const ended = endOf(child, program)
  const { pid } = child
  if (pid === undefined) return (await ended).ending
  options.onStart?.(pid)
  const stop = () => void stopGroup(pid, interruptionOf(signal), options.graceMs ?? GRACE_MS, ended)
  signal.addEventListener('abort', stop, { once: true })
  const { ending, closed } = await ended
  signal.removeEventListener('abort', stop)
  await clearGroup(pid, closed)
  return signal.aborted && ending.status !== 'FINISHED'
    ? stoppedEnding(interruptionOf(signal))
    : ending
}

/** How a run ends that somebody stopped. */
export function stoppedEnding(signal: NodeJS.Signals): ProjectEnding {
  return {
    status: 'KILLED',
    exitCode: 128 + constants.signals[signal],
    reason: `The run was stopped by ${signal}.`,
  }
}

/** The signal that an aborted `AbortSignal` stands for. */
export function interruptionOf({ reason }: AbortSignal): NodeJS.Signals {
  return reason instanceof Interruption ? reason.signal : 'SIGTERM'
}

interface End {
  ending: ProjectEnding
  /** Resolves when nobody has its output open. */
  closed: Promise<void>
}

function endOf(child: ChildProcess, program: string): Promise<End> {
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => resolve({ ending: endingOf(code, signal), closed }))
    child.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'ENOENT'
          ? invalid(`The command starts with '${program}', which is not on PATH.`)
          : invalid(`The command cannot be started: ${error.message}`),
      )
    })
  })
}

/** What an exit means; bash ends with 128 and the number when a signal ended its command. */
function endingOf(code: number | null, signal: NodeJS.Signals | null): ProjectEnding {
  if (code === 0) return { status: 'FINISHED', exitCode: 0 }
  const name = signal ?? signalOf((code ?? 1) - 128)
  if (name === undefined) {
    const exitCode = code ?? 1
    return { status: 'FAILED', exitCode, reason: `The command ended with exit code ${exitCode}.` }
  }
  const memory = name === 'SIGKILL' ? ', which is also what happens when memory runs out' : ''
  return {
    status: STOPPING.includes(name) ? 'KILLED' : 'FAILED',
    exitCode: 128 + constants.signals[name],
    reason: `The command was ended by ${name}${memory}.`,
  }
}

function signalOf(number: number): NodeJS.Signals | undefined {
  const found = Object.entries(constants.signals).find(([, value]) => value === number)
  return found?.[0] as NodeJS.Signals | undefined
}

async function stopGroup(
  pid: number,
  signal: NodeJS.Signals,
  graceMs: number,
  ended: Promise<End>,
): Promise<void> {
  signalGroup(pid, signal)
  await Promise.race([ended, wait(graceMs, undefined, { ref: false })])
  signalGroup(pid, 'SIGKILL')
}

/** Ends what a command has left running, and waits until its output is complete. */
async function clearGroup(pid: number, closed: Promise<void>): Promise<void> {
  if (signalGroup(pid, 'SIGTERM')) {
    const deadlineMs = performance.now() + LEFTOVER_MS
    while (signalGroup(pid, 0) && performance.now() < deadlineMs) await wait(POLL_MS)
    signalGroup(pid, 'SIGKILL')
  }
  // Who left the group may hold the output open for ever.
  await Promise.race([closed, wait(LEFTOVER_MS, undefined, { ref: false })])
}

/** Whether there was anybody to signal. */
export function signalGroup(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}
