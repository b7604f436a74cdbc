import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../tools/free-port.ts'
import { newFolder, removeFolder } from './folders.ts'
import type { Peer } from './peers.ts'
import { databaseUri } from './store.ts'

const START_LIMIT_MS = 180_000
const STOP_LIMIT_MS = 20_000
/** Of /proc/<pid>/stat, where Linux counts CPU time. */
const TICKS_PER_SECOND = 100
const OUTPUT_KEPT = 20_000
/** CPU time in half a second that still counts as rest: idle servers of many processes tick too. */
const QUIET_CPU_MS = 50

/** A server under measurement, in a process group of its own. */
export interface ServerProcess {
  peer: Peer
  port: number
  /** Everything it stores. */
  folder: string
  /** From the start of the process to the first 200 of an API request, in milliseconds. */
  startMs: number
  usage(): Usage
  /** The end of what it wrote to its terminal. */
  output(): string
  /** Ends the whole group; the folder stays. */
  stop(): Promise<void>
}

/** What a server and all processes below it use. */
export interface Usage {
  processes: number
  /** Proportional set size, which counts shared pages once. */
  pssMib: number
  rssMib: number
  cpuMs: number
}

/** Starts a server on that folder and waits for its first good answer. */
export async function startServer(
  peer: Peer,
  folder: string,
  firstPath = '/api/2.0/mlflow/experiments/get?experiment_id=0',
): Promise<ServerProcess> {
  const port = await freePort()
  const database = await databaseUri(folder)
  const { file, args, env } = peer.command({ port, folder, database })
  const startedMs = performance.now()
  const child = spawn(file, args, {
    cwd: folder,
    env: { ...process.env, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-OUTPUT_KEPT)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  let hasEnded = false
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      hasEnded = true
      resolve()
    }
    child.once('exit', end)
    child.once('error', (error) => {
      output += error.message
      end()
    })
  })
  const pid = child.pid ?? 0
  const stop = async () => {
    const tree = treeOf(pid)
    signal(-pid, 'SIGTERM')
    await Promise.race([ended, wait(STOP_LIMIT_MS, undefined, { ref: false })])
    for (const member of [-pid, ...tree]) signal(member, 'SIGKILL')
    await ended
  }
  while (!(await answers(`http://127.0.0.1:${port}${firstPath}`))) {
    if (!hasEnded && performance.now() - startedMs < START_LIMIT_MS) {
      await wait(4)
      continue
    }
    await stop()
    throw new Error(`${peer.name} did not start: ${[file, ...args].join(' ')}\n${output}`)
  }
  const startMs = performance.now() - startedMs
  return { peer, port, folder, startMs, usage: () => usageOf(pid), output: () => output, stop }
}

/** Starts a server on a folder of its own, uses it, and leaves nothing behind. */
export async function withServer(
  peer: Peer,
  use: (server: ServerProcess) => Promise<void>,
): Promise<void> {
  const folder = newFolder()
  try {
    const server = await startServer(peer, folder)
    await use(server).finally(() => server.stop())
  } finally {
    removeFolder(folder)
  }
}

/**
 * Waits until a server has stopped working on what is behind it: twice in a row next to no CPU
 * time over half a second, since a busy machine gives a server none now and then. Returns the seconds that took, or undefined when it still works after `limitMs`.
 */
export async function settle(server: ServerProcess, limitMs = 30_000): Promise<number | undefined> {
  const startedMs = performance.now()
  for (let quiet = 0; performance.now() - startedMs < limitMs; ) {
    const before = server.usage().cpuMs
    await wait(500)
    const isQuiet = server.usage().cpuMs - before <= QUIET_CPU_MS
    quiet = isQuiet ? quiet + 1 : 0
    if (quiet === 2) return (performance.now() - startedMs) / 1000
  }
  return undefined
}

function usageOf(pid: number): Usage {
  const usage: Usage = { processes: 0, pssMib: 0, rssMib: 0, cpuMs: 0 }
  for (const member of treeOf(pid)) {
    const memory = readProc(member, 'smaps_rollup')
    usage.processes += 1
    usage.pssMib += kilobytes(memory, 'Pss') / 1024
    usage.rssMib += kilobytes(memory, 'Rss') / 1024
    const [user = 0, system = 0] = statOf(member).slice(11, 13).map(Number)
    usage.cpuMs += ((user + system) / TICKS_PER_SECOND) * 1000
  }
  return usage
}

/** The fields of /proc/<pid>/stat after the name, which may hold anything. */
function statOf(pid: number): string[] {
  return readProc(pid, 'stat').split(') ').at(-1)?.split(' ') ?? []
}

/** A process and all below it, by parent or by session. */
function treeOf(root: number): number[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const found = new Set<number>()
  const known = all.map(Number).map((pid) => ({ pid, stat: statOf(pid) }))
  for (let grew = true; grew; ) {
    grew = false
    for (const { pid, stat } of known) {
      const [, parent, , session] = stat.map(Number)
      const belongs = pid === root || session === root || found.has(parent ?? 0)
      if (!belongs || found.has(pid) || stat.length === 0) continue
      found.add(pid)
      grew = true
    }
  }
  return [...found]
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return '' // It has ended.
  }
}

function kilobytes(text: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0)
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url).catch(() => undefined)
  await response?.arrayBuffer().catch(() => undefined)
  return response?.ok === true
}
