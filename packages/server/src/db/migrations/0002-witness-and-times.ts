import { type Kysely, sql } from 'kysely'
import { kindOf } from '../dialect.ts'
import type { Schema } from '../schema.ts'
import { addColumn, createIndex, createTables } from './create-tables.ts'

/**
 * A table by which writers know whether a commit that was not answered is stored; indexes that have
 * the order of the ends of runs and the newest of each status; the times that a chunk spans, which
 * older ones do not tell. Fresh points of the first release had two indexes, where one does for what
 * they are asked, and costs a write a page less.
 */
export async function up(db: Kysely<Schema>): Promise<void> {
  await createTables(db, [
    {
      name: 'writer_witness',
      columns: { writer: 'short-word', batch: 'int', time: 'int' },
      key: ['writer', 'batch'],
    },
  ])
  await createIndex(db, 'run', 'run_by_end', ['experiment', 'stage', 'end_time'])
  const newestOfStatus = ['experiment', 'stage', 'status', 'start_time desc', 'uuid']
  await createIndex(db, 'run', 'run_by_status', newestOfStatus)
  await addColumn(db, 'metric_chunk', 'min_ts', 'int?')
  await addColumn(db, 'metric_chunk', 'max_ts', 'int?')
  if (kindOf(db) === 'sqlite') await renewTailIndex(db)
}

async function renewTailIndex(db: Kysely<Schema>): Promise<void> {
  const { rows } = await sql`
    select 1 from sqlite_master where name = 'metric_tail_dirty'`.execute(db)
  if (rows.length === 0) return
  await sql`drop index if exists metric_tail_run`.execute(db)
  await createIndex(db, 'metric_tail', 'metric_tail_run', ['experiment', 'folded', 'run'])
  // The last: a migration that was cut short finds it, and begins again.
  await sql`drop index metric_tail_dirty`.execute(db)
}
