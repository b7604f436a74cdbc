import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const SOURCES = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url))
/** A bundle (`tools/build.ts`) to test in place of the sources; it starts faster. */
const MAIN = process.env['MILLRACE_TEST_MAIN'] ?? SOURCES
const START_LIMIT_MS = 150_000
const STOP_LIMIT_MS = 120_000
const OUTPUT_CHARACTERS = 20_000

export interface ServerProcessOptions {
  /** Everything the server stores is below it; made when missing, never removed. */
  folder: string
  /** Further command line arguments of `millrace server`. */
  args?: readonly string[]
  env?: Readonly<Record<string, string>>
  /** Kills it so many milliseconds after its start, whether it has come to listen or not. */
  killAfterMs?: number
}

/** A real `millrace server` in a process group of its own. Disposing it kills the group. */
export interface ServerProcess extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** From the start of the process until it listened. */
  readonly startMs: number
  /** The last lines the server wrote. */
  output(): string
  /** Undefined while it runs; then its exit code, or the name of the signal that ended it. */
  ended(): number | string | undefined
  /** `kill -9`, and waits for the end. */
  kill(): Promise<void>
  /** SIGTERM; resolves to the exit code (or signal) and the time the end took. */
  terminate(): Promise<{ code: number | string; ms: number }>
  /** Command lines of the processes that the server has started and that still run. */
  children(): string[]
  /** Ids of those processes. */
  childIds(): number[]
}

/** The database of a server that was started in `folder`. */
export function databasePath(folder: string): string {
  return join(folder, 'millrace.db')
}

/** Where a server that was started in `folder` keeps its artifacts. */
export function artifactsPath(folder: string): string {
  return join(folder, 'artifacts')
}

/**
 * Starts a server on a free loopback port and waits until it says where it listens.
 *
 * @throws Error with the server's output when it ends or says nothing
 */
export async function startServerProcess(options: ServerProcessOptions): Promise<ServerProcess> {
  const { folder, args = [], env = {}, killAfterMs } = options
  mkdirSync(folder, { recursive: true })
  const storage = [
    `--backend-store-uri=sqlite:///${databasePath(folder)}`,
    `--artifacts-destination=${artifactsPath(folder)}`,
  ]
  const startedMs = performance.now()
  const child = spawn(process.execPath, [MAIN, 'server', '--port', '0', ...storage, ...args], {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  })
  const output = collectOutput(child)
  const closed = once(child, 'close')
  if (killAfterMs !== undefined) {
    setTimeout(() => child.pid !== undefined && signalGroup(child.pid, 'SIGKILL'), killAfterMs)
  }
  const url = await listening(child, output)
  const startMs = performance.now() - startedMs

  const { pid } = child
  if (pid === undefined) throw new Error('a process that listens has an id')
  const ended = () => child.exitCode ?? child.signalCode ?? undefined
  const kill = async () => {
    signalGroup(pid, 'SIGKILL')
    await closed
  }
  return {
    url,
    port: Number(new URL(url).port),
    pid,
    startMs,
    output,
    ended,
    kill,
    async terminate() {
      const askedMs = performance.now()
      process.kill(pid, 'SIGTERM')
      await Promise.race([closed, wait(STOP_LIMIT_MS, undefined, { ref: false })])
      const code = ended() ?? 'still running'
      return { code, ms: performance.now() - askedMs }
    },
    children: () =>
      listChildren(pid).map((id) => readText(`/proc/${id}/cmdline`).replaceAll('\0', ' ')),
    childIds: () => listChildren(pid),
    [Symbol.asyncDispose]: kill,
  }
}

function collectOutput(child: ChildProcess): () => string {
  let written = ''
  const keep = (chunk: Buffer) => {
    written = (written + chunk.toString()).slice(-OUTPUT_CHARACTERS)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  return () => written
}

async function listening(child: ChildProcess, output: () => string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const look = () => {
    const [, url] = /Millrace is at (http:\S+)\n/.exec(output()) ?? []
    if (url !== undefined) resolve(url)
  }
  child.stdout?.on('data', look)
  const fail = (reason: string) => reject(new Error(`The server ${reason}.\n${output()}`))
  child.once('close', (code, signal) => fail(`ended with ${code ?? signal}`))
  child.once('error', (error) => fail(`did not start: ${error.message}`))
  const limit = setTimeout(() => fail(`said nothing for ${START_LIMIT_MS} ms`), START_LIMIT_MS)
  try {
    return await promise
  } catch (error) {
    if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL')
    throw error
  } finally {
    clearTimeout(limit)
    child.stdout?.off('data', look)
  }
}

/** Signals a process and its children; a group that has ended is what the caller wants. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

function listChildren(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readText(`/proc/${pid}/task/${task}/children`).split(' '))
    .filter(Boolean)
    .map(Number)
}

/** A file of `/proc`; empty when its process has just ended. */
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
