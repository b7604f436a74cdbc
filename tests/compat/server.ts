import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../tools/free-port.ts'
import {
  type PythonEnvironmentName,
  pythonEnvironmentNames,
  pythonOf,
} from '../../tools/setup/python-environments.ts'
import { root } from '../../tools/setup/step.mjs'

/** A tracking server in a process group of its own, with a database and artifacts of its own. */
export interface RunningServer extends AsyncDisposable {
  url: string
  /** The last lines that the server wrote, for a failure's message. */
  output(): string
}

const START_LIMIT_MS = 120_000
const STOP_LIMIT_MS = 10_000
const OUTPUT_CHARACTERS = 1_500

/** What a test starts the server with besides its own database and folder. */
export interface StartOptions {
  /** Flags; of one given twice the later counts. */
  args?: readonly string[]
  env?: Readonly<Record<string, string>>
}

/**
 * Starts the server that MILLRACE_COMPAT_TARGET names on a free loopback port and waits until /health
 * answers: `millrace` (default), or `mlflow-3.17.2` and the like for a stock server of that version.
 * Disposing it ends the whole process group and removes its files.
 */
export async function startServer(
  target = compatTarget(),
  { args: extraArgs = [], env = {} }: StartOptions = {},
): Promise<RunningServer> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-compat-'))
  const port = await freePort()
  const [program, ...args] = [...commandLine(target, port, folder), ...extraArgs]
  const child = spawn(program, args, {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      ...env,
      // Old stock servers start gunicorn by its bare name.
      PATH: `${dirname(program)}${delimiter}${process.env['PATH']}`,
      DO_NOT_TRACK: 'true',
      MLFLOW_DISABLE_TELEMETRY: 'true',
      MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false',
    },
  })
  let written = ''
  const keep = (chunk: Buffer) => {
    written = (written + chunk.toString()).slice(-OUTPUT_CHARACTERS)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', (error) => {
      written += error.message
      resolve()
    })
  })

  const server: RunningServer = {
    url: `http://127.0.0.1:${port}`,
    output: () => written,
    async [Symbol.asyncDispose]() {
      signalGroup(child.pid, 'SIGTERM')
      await Promise.race([ended, wait(STOP_LIMIT_MS, undefined, { ref: false })])
      signalGroup(child.pid, 'SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
  try {
    await answers(`${server.url}/health`, ended)
  } catch (cause) {
    await server[Symbol.asyncDispose]()
    throw new Error(`${target} did not start: ${[program, ...args].join(' ')}\n${written}`, {
      cause,
    })
  }
  return server
}

/** What the tests run against: our own server, or a stock one that shows what the tests should find. */
export function compatTarget(): 'millrace' | PythonEnvironmentName {
  const named = process.env['MILLRACE_COMPAT_TARGET'] ?? 'millrace'
  if (named === 'millrace') return named
  const environment = pythonEnvironmentNames.find((name) => name === named)
  if (environment) return environment
  const known = ['millrace', ...pythonEnvironmentNames].join(', ')
  throw new Error(`MILLRACE_COMPAT_TARGET is '${named}'; it takes ${known}`)
}

function commandLine(
  target: 'millrace' | PythonEnvironmentName,
  port: number,
  folder: string,
): [program: string, ...args: string[]] {
  const storage = [
    '--backend-store-uri',
    `sqlite:///${join(folder, 'tracking.db')}`,
    '--artifacts-destination',
    join(folder, 'artifacts'),
  ]
  const address = ['--host', '127.0.0.1', '--port', String(port)]
  if (target === 'millrace') {
    const main = join(root, 'packages', 'cli', 'src', 'main.ts')
    return [process.execPath, main, 'server', ...address, ...storage]
  }
  const served = target === 'mlflow-1.30.0' ? ['--serve-artifacts'] : []
  const mlflow = join(dirname(pythonOf(target)), 'mlflow')
  return [mlflow, 'server', '--workers', '1', ...address, ...storage, ...served]
}

async function answers(url: string, ended: Promise<void>): Promise<void> {
  let isOver = false
  const over = ended.then(() => {
    isOver = true
  })
  const deadlineMs = performance.now() + START_LIMIT_MS
  while (!isOver && performance.now() < deadlineMs) {
    const response = await fetch(url).catch(() => undefined)
    if (response?.ok) return
    await Promise.race([over, wait(50)])
  }
  throw new Error(isOver ? 'it ended' : `no answer within ${START_LIMIT_MS} ms`)
}

/** Signals a process and its children; a group that has ended is what the caller wants. */
export function signalGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
