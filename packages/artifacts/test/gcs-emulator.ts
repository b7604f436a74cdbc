import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../../tools/free-port.ts'
import { missingPython, pythonOf } from '../../../tools/setup/python-environments.ts'
import { endGroup } from './s3-servers.ts'

const program = join(dirname(pythonOf('gcs')), 'gcp-storage-emulator')
const START_LIMIT_MS = 150_000

export const hasGcsEmulator = existsSync(program)

/** What to do about it. */
export const missingGcsEmulator = missingPython('gcs')

/** An emulator of Google Cloud Storage in a process group of its own, with one empty bucket. */
export interface GcsEmulator extends AsyncDisposable {
  endpoint: string
  bucket: string
}

export async function startGcsEmulator(): Promise<GcsEmulator> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-gcs-'))
  const port = await freePort()
  const options = ['start', '--host', '127.0.0.1', '--port', String(port), '--in-memory']
  const child = spawn(program, options, { cwd: folder, detached: true, stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const emulator: GcsEmulator = {
    endpoint: `http://127.0.0.1:${port}`,
    bucket: 'millrace-tests',
    async [Symbol.asyncDispose]() {
      endGroup(child.pid)
      await ended
      await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
  try {
    await createBucket(emulator)
    return emulator
  } catch (error) {
    await emulator[Symbol.asyncDispose]()
    throw error
  }
}

async function createBucket({ endpoint, bucket }: GcsEmulator): Promise<void> {
  const deadlineMs = performance.now() + START_LIMIT_MS
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: bucket }),
  }
  for (;;) {
    const response = await fetch(`${endpoint}/storage/v1/b?project=tests`, init).catch(
      () => undefined,
    )
    if (response?.ok) return
    if (performance.now() > deadlineMs) throw new Error(`no bucket: ${response?.status}`)
    await wait(100)
  }
}
