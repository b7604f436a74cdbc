import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { Kysely } from 'kysely'
import { type DatabaseConfig, describeDatabase } from '../config.ts'
import type { Db } from '../db/dialect.ts'
import { migrate, newerSchema, readSchemaState } from '../db/migrate.ts'
import { assertOurs } from '../db/ownership.ts'
import type { Schema } from '../db/schema.ts'
import { toAdvice } from '../db/server-advice.ts'
import { connect } from '../db/server-database.ts'
import { openSqliteFile, sqliteDialect } from '../db/sqlite-dialect.ts'
import { describeStorageFailure } from '../db/storage-failure.ts'

/** Connections of one command: what holds a snapshot, and what looks something up beside it. */
const CONNECTIONS = 3

/**
 * `read older` also takes a schema that an older version made, as a backup before an upgrade must;
 * `create` makes the schema where there is nothing; `made` tells of one that ends there.
 */
type Access = 'read' | 'read older' | 'write' | 'create' | { made: string | undefined }

/**
 * Runs something on a database of ours through connections of its own, beside the servers that use
 * it. What reads cannot change a SQLite file.
 *
 * @throws Error in one sentence when it cannot be reached, is not ours or has another schema
 */
export async function withDatabase<Result>(
  config: DatabaseConfig,
  access: Access,
  run: (db: Db) => Promise<Result>,
): Promise<Result> {
  const where = describeDatabase(config)
  const makes = access === 'create' || typeof access === 'object'
  if (config.kind === 'sqlite' && !makes && !existsSync(config.path)) {
    throw new Error(`There is no database ${where}. Name it with --backend-store-uri.`)
  }
  let db: Db | undefined
  try {
    db = await open(config, access)
    await assertOurs(db, where)
    if (typeof access === 'object') await migrate(db, access.made)
    else {
      if (makes) await migrate(db)
      await checkSchema(db, where, access)
    }
    return await run(db)
  } catch (error) {
    if (config.kind === 'server') throw toAdvice(error, config.address)
    const reason = describeStorageFailure(error)
    if (reason === undefined) throw error
    throw new Error(`The database ${where} cannot be used: ${reason}.`, { cause: error })
  } finally {
    await db?.destroy()
  }
}

async function open(config: DatabaseConfig, access: Access): Promise<Db> {
  if (config.kind === 'server') return connect(config.address, CONNECTIONS)
  const { path, synchronous } = config
  const queryOnly = access === 'read' || access === 'read older'
  if (!queryOnly && access !== 'write') mkdirSync(dirname(path), { recursive: true })
  const sqlite = openSqliteFile(path, { synchronous, queryOnly })
  return new Kysely<Schema>({ dialect: sqliteDialect(sqlite) })
}

async function checkSchema(db: Db, where: string, access: Access): Promise<void> {
  const { applied, missing, unknown } = await readSchemaState(db)
  if (unknown.length > 0) throw newerSchema(unknown)
  if (missing.length === 0 || (access === 'read older' && applied.length > 0)) return
  throw new Error(
    `The schema of ${where} is older than this program (${missing.join(', ')} missing). ` +
      'Start the server once, or run: millrace db upgrade',
  )
}
