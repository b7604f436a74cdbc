import { api, streams } from '@millrace/api/api'
import type { FastifyInstance } from 'fastify'
import { handlers, streamHandlers } from './all-handlers.ts'
import type { ServerConfig } from './config.ts'
import type { Database } from './db/database.ts'
import { openSqliteDatabase } from './db/sqlite-database.ts'
import { mountGroup } from './http/mount.ts'
import { mountStreams } from './http/mount-stream.ts'
import {
  createHttpServer,
  type ServerParts,
  withBufferedBodies,
  withStreamedBodies,
} from './http/server.ts'
import { mountService } from './http/service-routes.ts'
import { ensureDefaultExperiment } from './tracking/default-experiment.ts'

/** A server that is ready to listen. */
export interface App {
  http: FastifyInstance
  database: Database
  /** Stops taking requests, finishes those under way and closes the database. */
  close(): Promise<void>
}

/** Opens the database, in which there is a `Default` experiment, and mounts every endpoint group. */
export async function createApp(config: ServerConfig): Promise<App> {
  const { settings } = config
  const { path, synchronous, pendingWritesMax: pendingMax } = config.database
  const database = await openSqliteDatabase({
    path,
    synchronous,
    settings,
    pendingMax,
    prepare: (db) => ensureDefaultExperiment(db, settings),
  })
  try {
    const http = await mountAll(config, database)
    return {
      http,
      database,
      async close() {
        await http.close()
        await database.close()
      },
    }
  } catch (error) {
    await database.close()
    throw error
  }
}

async function mountAll(config: ServerConfig, database: Database): Promise<FastifyInstance> {
  const { settings } = config
  const parts: ServerParts = {
    database,
    settings,
    async fold(runs) {
      if (runs.length > 0) await database.write('maintenance.fold', undefined, { runs })
    },
  }
  const { staticPrefix } = settings
  const http = createHttpServer({
    allowedHosts: config.allowedHosts,
    allowedOrigins: config.allowedOrigins,
    exemptPaths: new Set(['', staticPrefix].flatMap((p) => [`${p}/health`, `${p}/version`])),
    frameOptions: config.frameOptions,
  })

  await withBufferedBodies(http, (scope) => {
    for (const [name, group] of Object.entries(api)) {
      mountGroup(scope, parts, name, group, handlers[name as keyof typeof handlers])
    }
  })
  await withStreamedBodies(http, (scope) => {
    for (const [name, group] of Object.entries(streams)) {
      mountStreams(scope, parts, group, streamHandlers[name as keyof typeof streamHandlers])
    }
  })
  await mountService(http, parts, config)

  return http
}
