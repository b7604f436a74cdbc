import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type PythonEnvironmentName, pythonOf } from '../../tools/setup/python-environments.ts'
import { type StartOptions, signalGroup, startServer } from './server.ts'

/** One named check of a Python script, as the script reports it. */
export interface Check {
  check: string
  ok: boolean
  detail: string
}

// A healthy script takes under a minute on a busy machine with two cores.
const SCRIPT_LIMIT_MS = 850_000

/** What a script needs besides a fresh server. */
export interface CheckSetting {
  server?: StartOptions
  clientEnv?: Readonly<Record<string, string>>
}

/**
 * Runs a script of `scripts/` with a stock client against a fresh server and returns the checks that it
 * reports. Never throws: whatever goes wrong is a failed check.
 */
export async function runChecks(
  client: PythonEnvironmentName,
  script: string,
  { server: start = {}, clientEnv = {} }: CheckSetting = {},
): Promise<Check[]> {
  try {
    await using server = await startServer(undefined, start)
    const { output, end } = await runScript(client, script, { url: server.url, clientEnv })
    const checks = withCrash(output, end)
    const failed = checks.find(({ ok }) => !ok)
    if (failed) failed.detail += `\n--- the server wrote ---\n${server.output()}`
    return checks
  } catch (error) {
    return [{ check: 'the server starts and stops', ok: false, detail: String(error) }]
  }
}

function runScript(
  client: PythonEnvironmentName,
  script: string,
  { url, clientEnv }: { url: string; clientEnv: Readonly<Record<string, string>> },
) {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-client-'))
  const file = join(import.meta.dirname, 'scripts', `${script}.py`)
  return new Promise<{ output: string; end: string }>((resolve) => {
    const chunks: Buffer[] = []
    const child = spawn(pythonOf(client), [file], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...clientEnvironment(url, folder), ...clientEnv },
    })
    const limit = setTimeout(() => signalGroup(child.pid, 'SIGKILL'), SCRIPT_LIMIT_MS)
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('error', (error) => chunks.push(Buffer.from(error.message)))
    child.on('close', (code, signal) => {
      clearTimeout(limit)
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
      resolve({ output: Buffer.concat(chunks).toString(), end: String(code ?? signal) })
    })
  })
}

/** A client that shares nothing with the person at this machine and shows a 500 at once. */
function clientEnvironment(url: string, folder: string): Record<string, string> {
  return {
    HOME: folder,
    TMPDIR: folder,
    MLFLOW_TRACKING_URI: url,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES: '1',
    MLFLOW_HTTP_REQUEST_TIMEOUT: '30',
    MLFLOW_DISABLE_TELEMETRY: 'true',
    DO_NOT_TRACK: 'true',
    MPLBACKEND: 'Agg',
    GIT_PYTHON_REFRESH: 'quiet',
    PYTHONUNBUFFERED: '1',
    NO_PROXY: '127.0.0.1',
  }
}

/** The checks in a script's output, and one more that failed when the script did not reach its end. */
export function withCrash(output: string, end: string): Check[] {
  const lines = output.split('\n')
  const reports = lines.filter((line) => /^\{"(begin|check|end)":/.test(line))
  const checks = reports
    .filter((line) => line.startsWith('{"check"'))
    .map((line) => JSON.parse(line) as Check)
  const last = reports.at(-1)
  if (last?.startsWith('{"end"') && end === '0' && checks.length > 0) return checks
  const running = last?.startsWith('{"begin"')
    ? (JSON.parse(last) as { begin: string }).begin
    : 'the script reaches its end'
  const detail = `the script ended with ${end}:\n${lines.slice(-40).join('\n')}`
  return [...checks, { check: running, ok: false, detail }]
}
