import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../../tools/free-port.ts'
import { root } from '../../../tools/setup/step.mjs'

/** A scoring server in a process group of its own, which disposing it ends. */
export interface ScoringProcess extends AsyncDisposable {
  url: string
  child: ChildProcess
  /** What it has written so far. */
  output(): string
  /** Waits until it has ended by itself; null when a signal ended it. */
  exitCode(): Promise<number | null>
}

const START_LIMIT_MS = 240_000

/** Serves a model with the stock server of the MLflow that the Python has, and waits for it. */
export async function startStock(
  python: string,
  directory: string,
  flags: string[] = [],
): Promise<ScoringProcess> {
  const port = await freePort()
  // 1.30 has no `python -m mlflow`.
  const mlflow = join(dirname(python), 'mlflow')
  const args = ['models', 'serve', '-m', directory, '-p', String(port), ...flags]
  return start(mlflow, [...args, '--env-manager', 'local'], `http://127.0.0.1:${port}`, python)
}

/** Serves a model with `millrace models serve` on a free port, and waits for it. */
export async function startMillrace(
  python: string,
  directory: string,
  flags: string[] = [],
): Promise<ScoringProcess> {
  const port = await freePort()
  const main = join(root, 'packages/cli/src/main.ts')
  const args = [main, 'models', 'serve', '-m', directory, '-p', String(port), ...flags]
  const url = `http://127.0.0.1:${port}`
  return start(process.execPath, [...args, '--env-manager', 'local'], url, python)
}

async function start(file: string, args: string[], url: string, python: string) {
  const child = spawn(file, args, {
    cwd: root,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      // Old stock servers start gunicorn by its bare name.
      PATH: `${dirname(python)}${delimiter}${process.env['PATH']}`,
      MILLRACE_PYTHON: python,
      MLFLOW_DISABLE_TELEMETRY: 'true',
      GIT_PYTHON_REFRESH: 'quiet',
    },
  })
  let written = ''
  const keep = (chunk: Buffer) => {
    written += chunk.toString()
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const ended = once(child, 'exit').then(([code]: unknown[]) =>
    code === null ? null : Number(code),
  )
  const server: ScoringProcess = {
    url,
    child,
    output: () => written,
    exitCode: () => ended,
    async [Symbol.asyncDispose]() {
      endGroup(child)
      await ended
    },
  }
  const failed = ended.then((code) => {
    throw new Error(`${args.join(' ')} ended with ${code}:\n${written}`)
  })
  failed.catch(() => {})
  try {
    await Promise.race([failed, untilReady(url, () => written)])
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

async function untilReady(url: string, output: () => string) {
  for (const end = Date.now() + START_LIMIT_MS; Date.now() < end; await wait(100)) {
    const isReady = await fetch(`${url}/ping`).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isReady) return
  }
  throw new Error(`${url} did not answer in time:\n${output()}`)
}

function endGroup({ pid }: ChildProcess) {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
