import type { Kysely } from 'kysely'
import type { Schema } from '../schema.ts'
import { createIndex, createTables } from './create-tables.ts'

/**
 * A table by which writers know whether a commit that was not answered is stored, and an index that
 * has the order of the ends of runs.
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
}
