import { api, streams } from '@millrace/api/api'
import type { FastifyInstance } from 'fastify'
import { handlers, streamHandlers } from './all-handlers.ts'
import type { ServerConfig } from './config.ts'
import type { Database } from './db/database.ts'
import type { Db } from './db/dialect.ts'
import { mountGroup } from './http/mount.ts'
import { mountStreams } from './http/mount-stream.ts'
import { Readiness } from './http/readiness.ts'
import { mountSageMakerProxy, type PlaneLink } from './http/sagemaker-proxy.ts'
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
  /** To be told where the control plane is; used when the settings have one. */
  plane: PlaneLink
  /** Tells load balancers and clients to go elsewhere; requests are still answered. */
  drain(): void
  /** Stops taking requests, finishes those under way and closes the database. */
  close(): Promise<void>
}

/** Opens the database, in which there is a `Default` experiment, and mounts every endpoint group. */
export async function createApp(config: ServerConfig): Promise<App> {
  const database = await openDatabase(config)
  try {
    const readiness = new Readiness(database)
    const plane: PlaneLink = { address: undefined }
    const http = await mountAll(config, database, { readiness, plane })
    return {
      http,
      database,
      plane,
      drain: () => readiness.drain(),
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

async function openDatabase({ database, settings }: ServerConfig): Promise<Database> {
  const { pendingWritesMax: pendingMax } = database
  const prepare = (db: Db) => ensureDefaultExperiment(db, settings)
  if (database.kind === 'sqlite') {
    const { openSqliteDatabase } = await import('./db/sqlite-database.ts')
    const { path, synchronous } = database
    return openSqliteDatabase({ path, synchronous, settings, pendingMax, prepare })
  }
  const { openServerDatabase } = await import('./db/server-database.ts')
  const { writes } = await import('./writes.ts')
  const { address, replica, connectionsMax } = database
  return openServerDatabase({
    address,
    replica,
    connectionsMax,
    pendingMax,
    prepare,
    writes: writes(settings),
  })
}

async function mountAll(
  config: ServerConfig,
  database: Database,
  { readiness, plane }: { readiness: Readiness; plane: PlaneLink },
): Promise<FastifyInstance> {
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
    exemptPaths: new Set(
      ['', staticPrefix].flatMap((p) => [`${p}/health`, `${p}/ready`, `${p}/version`]),
    ),
    frameOptions: config.frameOptions,
  })

  await withBufferedBodies(http, (scope) => {
    for (const [name, group] of Object.entries(api)) {
      mountGroup(scope, parts, name, group, handlers[name as keyof typeof handlers])
    }
    if (config.sageMaker) mountSageMakerProxy(scope, staticPrefix, plane)
  })
  await withStreamedBodies(http, (scope) => {
    for (const [name, group] of Object.entries(streams)) {
      mountStreams(scope, parts, group, streamHandlers[name as keyof typeof streamHandlers])
    }
  })
  await mountService(http, parts, config, readiness)

  return http
}
