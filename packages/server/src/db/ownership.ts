import { sql } from 'kysely'
import type { Db } from './dialect.ts'

const OURS = 'kysely_migration'

/**
 * Refuses a database that another program keeps its tables in; MLflow's own are named as such.
 * Nothing is changed in it.
 */
export async function assertOurs(db: Db, uri: string): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select name from sqlite_master where type = 'table' and name not like 'sqlite_%'`.execute(db)
  const tables = new Set(rows.map(({ name }) => name))
  if (tables.size === 0 || tables.has(OURS)) return

  if (tables.has('alembic_version') && tables.has('experiments') && tables.has('runs')) {
    throw new Error(
      `${uri} holds the tables of MLflow. Millrace keeps its own and leaves these as they are: ` +
        'start with another --backend-store-uri.',
    )
  }
  throw new Error(
    `${uri} holds tables of another program (${[...tables].sort().slice(0, 3).join(', ')}). ` +
      'Start with another --backend-store-uri.',
  )
}
