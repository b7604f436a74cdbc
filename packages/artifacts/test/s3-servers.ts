import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freePort } from '../../../tools/free-port.ts'
import { missingPython, pythonOf } from '../../../tools/setup/python-environments.ts'
import { root } from '../../../tools/setup/step.mjs'

/** An S3 server of somebody else, in a process group of its own, with one empty bucket. */
export interface S3Server extends AsyncDisposable {
  endpoint: string
  bucket: string
}

/** Credentials that every S3 server of the tests takes. */
export const S3_CREDENTIALS = {
  AWS_ACCESS_KEY_ID: 'S3RVER',
  AWS_SECRET_ACCESS_KEY: 'S3RVER',
  AWS_REGION: 'us-east-1',
  AWS_EC2_METADATA_DISABLED: 'true',
} as const

/** `plane` is that of `millrace sagemaker-local`, which knows all that S3 does to objects. */
export type S3ServerName = 'moto' | 's3rver' | 'plane'

const START_LIMIT_MS = 150_000

/** The servers to test against: both, or on a desk without Python, where setup says so, one. */
export function s3ServerNames(): S3ServerName[] {
  if (existsSync(pythonOf('moto'))) return ['moto', 's3rver']
  if (process.env['CI']) throw new Error(missingPython('moto'))
  return ['s3rver']
}

/** Starts a server on a free loopback port; disposing it ends its process group and its files. */
export async function startS3Server(name: S3ServerName): Promise<S3Server> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-s3-'))
  const port = await freePort()
  const [program, ...args] = commandLine(name, port, folder)
  const child = spawn(program, args, { cwd: folder, detached: true, stdio: 'ignore' })
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
    child.once('error', () => resolve())
  })
  const bucket = `millrace-${randomUUID().slice(0, 8)}`
  const server: S3Server = {
    endpoint: `http://127.0.0.1:${port}`,
    bucket,
    async [Symbol.asyncDispose]() {
      endGroup(child.pid)
      await ended
      await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
  try {
    await createBucket(`${server.endpoint}/${bucket}`, ended)
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

function commandLine(
  name: S3ServerName,
  port: number,
  folder: string,
): [program: string, ...args: string[]] {
  if (name === 'moto') {
    const moto = join(dirname(pythonOf('moto')), 'moto_server')
    return [moto, '-H', '127.0.0.1', '-p', String(port)]
  }
  if (name === 'plane') {
    const program = join(root, 'packages', 'cli', 'bin', 'millrace.cjs')
    const options = ['--port', String(port), '--data-dir', join(folder, 'plane')]
    return [process.execPath, program, 'sagemaker-local', ...options]
  }
  // It enciphers the token of the next page with DES, which OpenSSL 3 calls legacy.
  const program = join(root, 'node_modules', 's3rver', 'bin', 's3rver.js')
  const options = ['--silent', '--no-vhost-buckets', '--address', '127.0.0.1']
  return [
    process.execPath,
    '--openssl-legacy-provider',
    program,
    ...options,
    '--port',
    String(port),
    '--directory',
    folder,
  ]
}

/** Both servers let anybody make a bucket, or at least anybody who signs. */
async function createBucket(url: string, ended: Promise<void>): Promise<void> {
  let isOver = false
  const over = ended.then(() => {
    isOver = true
  })
  const deadlineMs = performance.now() + START_LIMIT_MS
  while (!isOver && performance.now() < deadlineMs) {
    const response = await fetch(url, { method: 'PUT' }).catch(() => undefined)
    if (response?.ok) return
    if (response) throw new Error(`no bucket: ${response.status} ${await response.text()}`)
    await Promise.race([over, wait(50)])
  }
  throw new Error(isOver ? 'the S3 server ended' : `no answer within ${START_LIMIT_MS} ms`)
}

/** Ends a process with its children. */
export function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
