import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, dirname } from 'node:path'
import type { Duplex, Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { type Frame, FrameReader, frameHead } from './frames.ts'

const SCRIPT = fileURLToPath(new URL('../../../python/scoring_worker.py', import.meta.url))
const ONNX_SCRIPT = fileURLToPath(new URL('./onnx-worker.ts', import.meta.url))
const CHANNEL = 3
const PING_LIMIT_MS = 2_000
const CLOSE_LIMIT_MS = 5_000
const DRAIN_LIMIT_MS = 500
const LAST_LINES = 50

/** What the model answered, as it goes to the client. */
export interface Answer {
  status: number
  contentType: string
  body: Buffer
  /** For whoever asked in a way that is old. */
  notice?: string
}

/** What holds a model: the interpreter of its environment, or the ONNX runtime in a Node of ours. */
export type WorkerProgram = { kind: 'python'; python: string } | { kind: 'onnx' }

export interface WorkerSettings {
  program: WorkerProgram
  /** Absolute path of a directory with an MLmodel file. */
  modelDirectory: string
  /** How many requests it may be given at once. */
  threads: number
  environment: NodeJS.ProcessEnv
  /** What the model and its libraries print. */
  onOutput: (chunk: Buffer) => void
}

export interface WorkerEvents {
  onAnswer: (id: number, answer: Answer) => void
  /** Once, when the process is gone; `reason` completes "the worker …". */
  onExit: (reason: string) => void
}

/** A process that has loaded the model. */
export interface RunningWorker {
  pid: number
  mlflowVersion: string
  /** What runs the model, such as `Python 3.11.7`. */
  runtime: string
  send(id: number, contentType: string, body: Buffer): void
  /** Whether its interpreter still reacts. */
  isResponsive(): Promise<boolean>
  /** Ends it once its requests are answered; whatever it has started ends with it. */
  close(): Promise<void>
  kill(): void
}

/**
 * Starts a worker and waits until its model is loaded.
 *
 * @throws Error with why it could not be loaded; its cause is what the process wrote last
 */
export async function startWorker(
  settings: WorkerSettings,
  events: WorkerEvents,
  signal?: AbortSignal,
): Promise<RunningWorker> {
  signal?.throwIfAborted()
  const child = spawnWorker(settings)
  // Asked for as a pipe below, which is a socket pair in both directions.
  const channel = child.stdio[CHANNEL] as Duplex
  const lines = keepLastLines(child, settings.onOutput)
  const pings: (() => void)[] = []
  let ready: (frame: Frame) => void = () => {}
  const firstFrame = new Promise<Frame>((resolve) => {
    ready = resolve
  })
  const reader = new FrameReader()
  channel.on('data', (chunk: Buffer) => {
    try {
      for (const frame of reader.push(chunk)) {
        if ('id' in frame.header) events.onAnswer(...readAnswer(frame))
        else if ('ping' in frame.header) pings.shift()?.()
        else ready(frame)
      }
    } catch (error) {
      settings.onOutput(Buffer.from(`A worker's answer cannot be read: ${String(error)}\n`))
      killGroup(child)
    }
  })
  // Writing to a process that has just died; its exit tells the rest.
  channel.on('error', () => {})

  let isLoaded = false
  const exited = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`could not be started: ${error.message}`))
    child.once('exit', (code, name) => {
      killGroup(child)
      const reason = name ? `was ended by ${name}` : `ended with ${code}`
      // What it wrote before it ended still counts, but a process of another group that the model
      // left behind may hold the channel open for ever.
      const limit = setTimeout(resolve, DRAIN_LIMIT_MS, reason)
      channel.once('close', () => {
        clearTimeout(limit)
        resolve(reason)
      })
    })
  })
  void exited.then((reason) => {
    if (isLoaded) events.onExit(reason)
  })
  const abort = () => killGroup(child)
  signal?.addEventListener('abort', abort)
  const first = await Promise.race([firstFrame, exited])
  signal?.removeEventListener('abort', abort)
  const failure = whyNotLoaded(first)
  if (failure !== undefined) {
    killGroup(child)
    signal?.throwIfAborted()
    throw new Error(`The model could not be loaded: ${failure}`, { cause: lines.join('\n') })
  }
  isLoaded = true
  const { header } = first as Frame
  return {
    pid: child.pid ?? 0,
    mlflowVersion: String(header['mlflow']),
    runtime: String(header['runtime'] ?? `Python ${String(header['python'])}`),
    send(id, contentType, body) {
      channel.write(frameHead({ id, type: contentType }, body.length))
      if (body.length > 0) channel.write(body)
    },
    isResponsive: () => ping(channel, pings),
    async close() {
      channel.end()
      const limit = setTimeout(() => killGroup(child), CLOSE_LIMIT_MS)
      await exited
      clearTimeout(limit)
    },
    kill: () => killGroup(child),
  }
}

/** @throws Error when this installation is the bundle alone, without the ONNX runtime */
function spawnWorker({ program, modelDirectory, threads, environment }: WorkerSettings) {
  if (program.kind === 'onnx' && !existsSync(ONNX_SCRIPT)) {
    throw new Error(
      'This installation of Millrace has no ONNX runtime: it serves models by Python.',
    )
  }
  const [file, args] =
    program.kind === 'python'
      ? [program.python, ['-u', SCRIPT, modelDirectory, String(threads)]]
      : [process.execPath, [ONNX_SCRIPT, modelDirectory]]
  return spawn(file, args, {
    // A group of its own: what a model starts ends with it, and ^C is for the server alone.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...environment, PATH: `${dirname(file)}${delimiter}${environment['PATH'] ?? ''}` },
  })
}

function whyNotLoaded(first: Frame | string): string | undefined {
  if (typeof first === 'string') return `its process ${first}`
  return 'ready' in first.header ? undefined : String(first.header['failed'])
}

function readAnswer({ header, body }: Frame): [number, Answer] {
  const { id, status, type, notice } = header
  const answer = { status: Number(status), contentType: String(type), body }
  return [Number(id), typeof notice === 'string' ? { ...answer, notice } : answer]
}

function ping(channel: Duplex, pings: (() => void)[]): Promise<boolean> {
  return new Promise((resolve) => {
    const limit = setTimeout(resolve, PING_LIMIT_MS, false)
    pings.push(() => {
      clearTimeout(limit)
      resolve(true)
    })
    channel.write(frameHead({ ping: 1 }, 0))
  })
}

/** Passes the output on and keeps its end, for the message of a start that fails. */
function keepLastLines(child: ChildProcess, onOutput: (chunk: Buffer) => void): string[] {
  const lines: string[] = []
  let partial = ''
  for (const stream of [child.stdout, child.stderr] as Readable[]) {
    stream.on('data', (chunk: Buffer) => {
      onOutput(chunk)
      const parts = (partial + chunk.toString()).split('\n')
      partial = (parts.pop() ?? '').slice(-1_000)
      lines.push(...parts.filter((line) => line.trim() !== ''))
      lines.splice(0, lines.length - LAST_LINES)
    })
  }
  return lines
}

/** Ends the worker and every process that its model has started. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The group is already gone.
  }
}
