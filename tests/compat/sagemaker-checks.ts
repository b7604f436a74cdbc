import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startPlane } from '@millrace/sagemaker-local/plane'
import { describe, test } from 'vitest'
import {
  missingPython,
  type PythonEnvironmentName,
  pythonOf,
} from '../../tools/setup/python-environments.ts'
import { root } from '../../tools/setup/step.mjs'
import { type Check, withCrash } from './python-checks.ts'
import { signalGroup, startServer } from './server.ts'

const SCRIPT_LIMIT_MS = 850_000

export interface SdkOptions {
  /** Whether there is a tracking server beside the plane. */
  isTracked?: boolean
  /** Whether the hosts of AWS lead to the plane, for SDKs that write them out. */
  isProxied?: boolean
  /** Whether the plane lets in only who signs with its key. */
  hasKeys?: boolean
}

const KEY = { accessKeyId: 'AKIDOFTHETEST', secretAccessKey: 'a-secret-of-the-test' }

/**
 * Runs a Python script of `scripts/` with a stock SDK against a fresh control plane, in the shell that
 * `millrace env` makes, and makes each check that it reports a test.
 */
export function describeSdk(
  client: PythonEnvironmentName,
  script: string,
  options: SdkOptions = {},
): void {
  if (!existsSync(pythonOf(client))) {
    test(`client ${client}`, (context) => {
      if (process.env['CI']) throw new Error(missingPython(client))
      context.skip(missingPython(client))
    })
    return
  }
  describe(`${client} ${script}`, async () => {
    for (const { check, ok, detail } of await runChecks(client, script, options)) {
      test(check, () => {
        if (ok) return
        const error = new Error(detail)
        error.stack = ''
        throw error
      })
    }
  })
}

async function runChecks(
  client: PythonEnvironmentName,
  script: string,
  { isTracked = false, isProxied = false, hasKeys = false }: SdkOptions,
): Promise<Check[]> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-sdk-'))
  try {
    const images = join(folder, 'images.yaml')
    // Environments of the tests have what is needed: making one like the image's takes a minute.
    const interpreter = JSON.stringify(pythonOf('mlflow-3.17.2'))
    writeFileSync(
      images,
      `images:\n` +
        `  - { image: '*/sagemaker-scikit-learn:*', interpreter: ${interpreter} }\n` +
        `  - { image: '*/sagemaker-xgboost:*', interpreter: ${JSON.stringify(pythonOf('xgboost'))} }\n` +
        `  - { image: '*/mlflow-pyfunc:*', interpreter: ${interpreter} }\n` +
        `  - { image: '*/python-training:*', interpreter: ${interpreter} }\n`,
    )
    await using server = isTracked ? await startServer() : undefined
    await using plane = await startPlane({
      trackingUri: server?.url,
      directory: join(folder, 'plane'),
      port: 0,
      environment: process.env,
      imagesFile: images,
      ...(hasKeys ? { accessKeys: [KEY] } : {}),
      // The jobs sleep more than they work.
      places: 4,
    })
    const { output, end } = await runScript(client, script, {
      ...(await environmentOf(plane.url, folder, isProxied)),
      ...(hasKeys
        ? { AWS_ACCESS_KEY_ID: KEY.accessKeyId, AWS_SECRET_ACCESS_KEY: KEY.secretAccessKey }
        : {}),
    })
    return withCrash(output, end)
  } catch (error) {
    return [{ check: 'the control plane starts and stops', ok: false, detail: String(error) }]
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** The variables that `millrace env` prints for a shell. */
async function environmentOf(
  url: string,
  folder: string,
  isProxied: boolean,
): Promise<Record<string, string>> {
  const main = join(root, 'packages', 'cli', 'src', 'main.ts')
  const args = [main, 'env', '--url', url, ...(isProxied ? ['--proxy'] : [])]
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env: { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') },
  })
  const exports = [...stdout.matchAll(/^export (\w+)=(.*)$/gm)]
  return Object.fromEntries(exports.map(([, name = '', value = '']) => [name, value]))
}

function runScript(
  client: PythonEnvironmentName,
  script: string,
  environment: Record<string, string>,
): Promise<{ output: string; end: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-client-'))
  const file = join(import.meta.dirname, 'scripts', `${script}.py`)
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const child = spawn(pythonOf(client), [file], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: folder,
        TMPDIR: folder,
        PYTHONUNBUFFERED: '1',
        NO_PROXY: '127.0.0.1',
        ...environment,
      },
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
