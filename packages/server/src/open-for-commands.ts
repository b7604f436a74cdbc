import { Kysely } from 'kysely'
import type { DatabaseConfig } from './config.ts'
import type { Db } from './db/dialect.ts'
import type { Schema } from './db/schema.ts'

/**
 * Opens a database for one command, without starting what a server has around it, and closes it
 * again. A server may be running on it.
 *
 * @throws Error in one sentence when it cannot be reached
 */
export async function withDatabase<Result>(
  database: DatabaseConfig,
  run: (db: Db) => Promise<Result>,
): Promise<Result> {
  if (database.kind === 'sqlite') {
    const { openSqliteFile, sqliteDialect } = await import('./db/sqlite-dialect.ts')
    const { path, synchronous } = database
    const file = openSqliteFile(path, { synchronous, queryOnly: false })
    return use(new Kysely<Schema>({ dialect: sqliteDialect(file) }), run)
  }
  const { connect } = await import('./db/server-database.ts')
  const { toAdvice } = await import('./db/server-advice.ts')
  try {
    return await use(await connect(database.address, 2), run)
  } catch (error) {
    throw toAdvice(error, database.address)
  }
}

async function use<Result>(db: Db, run: (db: Db) => Promise<Result>): Promise<Result> {
  try {
    return await run(db)
  } finally {
    await db.destroy()
  }
}
