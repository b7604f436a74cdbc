import { type ChildProcess, spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { createClient } from '@millrace/client/client'
import { pythonOf } from '../../tools/setup/python-environments.ts'
import { root } from '../../tools/setup/step.mjs'

/** A `millrace run` that has been started. */
export interface StartedRun {
  child: ChildProcess
  /** What it has written so far, both streams together. */
  output(): string
  /** Resolves once what it has written matches. */
  printed(pattern: RegExp): Promise<RegExpExecArray>
  ended: Promise<{ code: number | null; output: string }>
}

const MAIN = join(root, 'packages', 'cli', 'src', 'main.ts')
const POLL_MS = 20
const PRINT_LIMIT_MS = 150_000

/** Starts `millrace run` in a folder, with the Python of the stock client for `local` projects. */
export function startRun(
  folder: string,
  args: string[],
  environment: Record<string, string>,
): StartedRun {
  return startMillrace(folder, ['run', ...args], environment)
}

/** Starts any command of `millrace`. */
export function startMillrace(
  folder: string,
  args: string[],
  environment: Record<string, string>,
): StartedRun {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: folder,
    env: { ...projectEnvironment(folder), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, output }))
  })
  return { child, output: () => output, printed: (pattern) => printed(pattern), ended }

  async function printed(pattern: RegExp): Promise<RegExpExecArray> {
    const deadlineMs = performance.now() + PRINT_LIMIT_MS
    for (;;) {
      const match = pattern.exec(output)
      if (match) return match
      if (child.exitCode !== null || performance.now() > deadlineMs) {
        throw new Error(`${pattern} was not printed:\n${output}`)
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }
}

/** Runs it to its end. */
export function millraceRun(folder: string, args: string[], environment: Record<string, string>) {
  return startRun(folder, args, environment).ended
}

/** What both clients are run with: nobody's settings, one user, and the stock client's Python. */
export function projectEnvironment(folder: string): Record<string, string> {
  const python = pythonOf('mlflow-3.17.2')
  return {
    PATH: `${dirname(python)}:${process.env['PATH']}`,
    HOME: folder,
    TMPDIR: folder,
    LOGNAME: 'somebody',
    GIT_CONFIG_NOSYSTEM: '1',
    MILLRACE_CACHE: join(folder, 'cache'),
    MLFLOW_DISABLE_TELEMETRY: 'true',
    DO_NOT_TRACK: 'true',
    MLFLOW_HTTP_REQUEST_MAX_RETRIES: '1',
    PYTHONDONTWRITEBYTECODE: '1',
    NO_PROXY: '127.0.0.1',
  }
}

/** A run as it is kept, in plain maps. */
export async function readRun(url: string, run_id: string) {
  const { run } = await createClient({ baseUrl: url }).runs.get({ run_id })
  const { params = [], tags = [] } = run.data
  return {
    info: run.info,
    params: Object.fromEntries(params.map(({ key, value }) => [key, value])),
    tags: Object.fromEntries(tags.map(({ key, value }) => [key, value])),
  }
}
