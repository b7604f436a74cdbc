import { Kysely } from 'kysely'
import type { Db } from '../db/dialect.ts'
import { migrate } from '../db/migrate.ts'
import type { Schema } from '../db/schema.ts'
import { openSqliteFile, sqliteDialect } from '../db/sqlite-dialect.ts'

/** An empty database of this version, in memory. */
export async function openTestDatabase(): Promise<Db> {
  const file = openSqliteFile(':memory:', { synchronous: 'normal', queryOnly: false })
  const db = new Kysely<Schema>({ dialect: sqliteDialect(file) })
  await migrate(db)
  return db
}
