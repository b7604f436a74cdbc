import { type Kysely, sql } from 'kysely'
import { kindOf } from '../dialect.ts'
import type { Schema } from '../schema.ts'
import { createIndex } from './create-tables.ts'

/**
 * An index that has the names of runs; and where a database can leave rows out of one, the index of
 * the ends of runs without those that have not ended, so that a run begins with a page less.
 */
export async function up(db: Kysely<Schema>): Promise<void> {
  await createIndex(db, 'run', 'run_by_name', ['experiment', 'name'], { texts: ['name'] })
  if (kindOf(db) === 'mysql') return
  const where = '"end_time" is not null'
  await createIndex(db, 'run', 'run_ended', ['experiment', 'stage', 'end_time'], { where })
  await sql`drop index if exists run_by_end`.execute(db)
}
