import { checkDatabase } from '../src/check-database.ts'
import type { DatabaseConfig } from '../src/config.ts'
import { parseServerUri } from '../src/db/server-address.ts'
import { withDatabase } from '../src/open-for-commands.ts'
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

/** What is wrong in a database that no server runs on. */
export function findBrokenInvariants(database: DatabaseConfig): Promise<string[]> {
  return withDatabase(database, checkDatabase)
}
