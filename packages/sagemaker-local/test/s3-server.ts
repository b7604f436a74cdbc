import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fastify from 'fastify'
import { mountS3 } from '../src/s3/mount-s3.ts'
import { type ObjectStore, openObjectStore } from '../src/s3/object-store.ts'
import type { S3Options } from '../src/s3/s3-request.ts'

export interface S3Server extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  url: string
  store: ObjectStore
  directory: string
}

/** S3 alone, on a free port and an empty directory. */
export async function startS3Server(options: Partial<S3Options> = {}): Promise<S3Server> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-s3-'))
  const store = openObjectStore(join(directory, 'store'))
  const app = fastify({
    // The router would refuse what it cannot decode before S3 can.
    rewriteUrl: () => '/s3',
    requestTimeout: 0,
    forceCloseConnections: true,
    logger: { level: 'error' },
  })
  await app.register(async (scope) => mountS3(scope, { store, path: '/s3', ...options }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    store,
    directory,
    [Symbol.asyncDispose]: async () => {
      await app.close()
      store[Symbol.dispose]()
      await rm(directory, { recursive: true, force: true })
    },
  }
}
