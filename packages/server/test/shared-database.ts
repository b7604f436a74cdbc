import { Kysely } from 'kysely'
import type { DatabaseConfig } from '../src/config.ts'
import type { Db } from '../src/db/dialect.ts'
import type { Schema } from '../src/db/schema.ts'
import { parseServerUri } from '../src/db/server-address.ts'
import { connect } from '../src/db/server-database.ts'
import { openSqliteFile, sqliteDialect } from '../src/db/sqlite-dialect.ts'
import { createDatabase, type ServerKind, startDatabaseServer } from './database-servers.ts'

/**
 * The database that behaviour tests run on: SQLite, or the server that MILLRACE_TEST_DATABASE
 * names, which is started once for all of them (`globalSetup` of vitest).
 */
export const testDatabase = (process.env['MILLRACE_TEST_DATABASE'] ?? 'sqlite') as
  | 'sqlite'
  | ServerKind

/** Starts the server for a run of tests and returns what ends it. */
export default async function setup(): Promise<() => Promise<void>> {
  if (testDatabase === 'sqlite') return async () => {}
  const server = await startDatabaseServer(testDatabase)
  if (server === undefined) throw new Error(`${testDatabase} is not installed`)
  process.env['MILLRACE_TEST_DATABASE_URI'] = server.adminUri
  return () => server.stop()
}

/** Settings for an empty database on that server; undefined where tests run on SQLite. */
export async function emptyServerDatabase(): Promise<DatabaseConfig | undefined> {
  const adminUri = process.env['MILLRACE_TEST_DATABASE_URI']
  if (adminUri === undefined) return undefined
  const address = parseServerUri(await createDatabase(adminUri))
  return { kind: 'server', address, connectionsMax: 8, pendingWritesMax: 20_000 }
}

/** A SQLite file as the settings of a server name it. */
export function sqliteFile(path: string): DatabaseConfig {
  return { kind: 'sqlite', path, synchronous: 'full', pendingWritesMax: 20_000 }
}

/** Runs something on a connection of its own to a database. */
export async function withDatabase<Result>(
  database: DatabaseConfig,
  run: (db: Db) => Promise<Result>,
): Promise<Result> {
  const db =
    database.kind === 'server'
      ? await connect(database.address, 2)
      : new Kysely<Schema>({
          dialect: sqliteDialect(
            openSqliteFile(database.path, { synchronous: 'normal', queryOnly: false }),
          ),
        })
  try {
    return await run(db)
  } finally {
    await db.destroy()
  }
}
