import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { BlobServiceClient } from '@azure/storage-blob'
import { freePort } from '../../../tools/free-port.ts'
import { root } from '../../../tools/setup/step.mjs'
import { endGroup } from './s3-servers.ts'

/** Azurite's well-known account, which is no secret. */
const ACCOUNT = 'devstoreaccount1'
const KEY =
  'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=='
const START_LIMIT_MS = 150_000

/** Where Azurite's blob service is, in `node_modules` or where MILLRACE_AZURITE says. */
const program =
  process.env['MILLRACE_AZURITE'] ??
  join(root, 'node_modules', 'azurite', 'dist', 'src', 'blob', 'main.js')

export const hasAzurite = existsSync(program)

/** What to do about it. */
export const missingAzurite = 'Azurite is not there: `npm install --no-save azurite@3.35.0`'

/** Azure's emulator in a process group of its own, with one container. */
export interface Azurite extends AsyncDisposable {
  connectionString: string
  /** `wasbs://box@account...`; a prefix follows after a slash. */
  containerUri: string
}

export async function startAzurite(): Promise<Azurite> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-azure-'))
  const port = await freePort()
  const options = ['--silent', '--skipApiVersionCheck', '--blobHost', '127.0.0.1']
  const child = spawn(
    process.execPath,
    [program, ...options, '--blobPort', String(port), '--location', folder],
    { detached: true, stdio: 'ignore' },
  )
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const azurite: Azurite = {
    connectionString:
      `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};` +
      `BlobEndpoint=http://127.0.0.1:${port}/${ACCOUNT};`,
    containerUri: `wasbs://box@${ACCOUNT}.blob.core.windows.net`,
    async [Symbol.asyncDispose]() {
      endGroup(child.pid)
      await ended
      await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
  try {
    await createContainer(azurite.connectionString)
    return azurite
  } catch (error) {
    await azurite[Symbol.asyncDispose]()
    throw error
  }
}

async function createContainer(connectionString: string): Promise<void> {
  const service = BlobServiceClient.fromConnectionString(connectionString, {
    retryOptions: { maxTries: 1 },
  })
  const deadlineMs = performance.now() + START_LIMIT_MS
  for (;;) {
    try {
      await service.createContainer('box')
      return
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
      await wait(100)
    }
  }
}
