import { Kysely } from 'kysely'
import { emptyServerDatabase } from '../../test/shared-database.ts'
import type { Db } from '../db/dialect.ts'
import { migrate } from '../db/migrate.ts'
import type { Schema } from '../db/schema.ts'
import { connect } from '../db/server-database.ts'
import { openSqliteFile, sqliteDialect } from '../db/sqlite-dialect.ts'

/** An empty database of this version, in memory or on the server that the tests run on. */
export async function openTestDatabase(): Promise<Db> {
  const server = await emptyServerDatabase()
  if (server?.kind === 'server') {
    const db = await connect(server.address, 4)
    await migrate(db)
    return db
  }
  const file = openSqliteFile(':memory:', { synchronous: 'normal', queryOnly: false })
  const db = new Kysely<Schema>({ dialect: sqliteDialect(file) })
  await migrate(db)
  return db
}
