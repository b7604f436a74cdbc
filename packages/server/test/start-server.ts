import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, createClient } from '@millrace/client/client'
import type { FastifyInstance } from 'fastify'
import { createApp } from '../src/app.ts'
import { localConfig, type ServerConfig } from '../src/config.ts'
import type { Db } from '../src/db/dialect.ts'
import { withDatabase } from '../src/open-for-commands.ts'
import { emptyServerDatabase } from './shared-database.ts'

export interface TestServer extends AsyncDisposable {
  client: Client
  http: FastifyInstance
  /** For looking at what is stored. */
  db: Db
  /** Changes rows behind the server's back. */
  change(run: (db: Db) => Promise<unknown>): Promise<void>
  /** Everything the server stores is in here. */
  directory: string
  config: ServerConfig
  close(): Promise<void>
}

/** A server on a database of its own; requests are injected, no port is opened. */
export async function startServer(
  change: (config: ServerConfig) => ServerConfig = (config) => config,
): Promise<TestServer> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-test-'))
  const database = await emptyServerDatabase()
  const local = localConfig(directory)
  const config = change(database === undefined ? local : { ...local, database })
  const app = await createApp(config)
  const client = createClient({
    baseUrl: '',
    async fetch(url, init) {
      const response = await app.http.inject({
        method: (init.method ?? 'GET') as 'GET',
        url,
        headers: { host: 'localhost', ...(init.headers as Record<string, string>) },
        ...(typeof init.body === 'string' && { payload: init.body }),
      })
      return new Response(new Uint8Array(response.rawPayload), { status: response.statusCode })
    },
  })
  const close = async () => {
    await app.close()
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  }
  const db = app.database.read
  return {
    client,
    http: app.http,
    db,
    change: (run) => withDatabase(config.database, run).then(() => {}),
    directory,
    config,
    close,
    [Symbol.asyncDispose]: close,
  }
}
