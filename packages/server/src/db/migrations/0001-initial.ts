import { type Kysely, sql } from 'kysely'
import { kindOf } from '../dialect.ts'
import type { Schema } from '../schema.ts'
import { createTables } from './create-tables.ts'
import { TABLES } from './initial-tables.ts'

/** Every statement leaves alone what is there, so that a migration cut short can run again. */
export async function up(db: Kysely<Schema>): Promise<void> {
  await createTables(db, TABLES)
  if (kindOf(db) === 'postgresql') await tunePostgres(db)
}

/** Blocks are compressed already, and the tables of fresh points are rewritten all the time. */
async function tunePostgres(db: Kysely<Schema>): Promise<void> {
  for (const table of ['metric_tail', 'metric_chunk']) {
    await sql.raw(`alter table ${table} alter column data set storage external`).execute(db)
  }
  for (const table of ['metric_tail', 'metric_latest']) {
    const settings = 'autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05'
    await sql.raw(`alter table ${table} set (${settings})`).execute(db)
  }
}
