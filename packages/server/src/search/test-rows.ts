import type { Insertable } from 'kysely'
import { type Db, insertReturningId } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import type { ExperimentTable, Schema } from '../db/schema.ts'

/** Exports builders of rows for the tests of this folder, straight into the tables. */

export interface TestRun {
  uuid: string
  experiment: number
  name: string
  user_id: string
  status: number
  start_time: number | bigint
  end_time: number | null
  stage: number
  metrics: Record<string, number>
  params: Record<string, string>
  tags: Record<string, string>
  datasets: { name: string; digest: string; context: string | null }[]
}

/** Inserts a row and returns its id. */
export function insertTestRow<
  Table extends 'run' | 'experiment' | 'registered_model' | 'logged_model' | 'dataset',
>(db: Db, table: Table, row: Insertable<Schema[Table]>): Promise<number> {
  return insertReturningId(table, Object.keys(row) as never)(db, row)
}

export async function insertTestExperiment(
  db: Db,
  row: Partial<Insertable<ExperimentTable>>,
  tags: Record<string, string> = {},
): Promise<number> {
  const id = await insertTestRow(db, 'experiment', {
    workspace: 'default',
    name: 'experiment',
    artifact_location: '',
    stage: 0,
    creation_time: 0,
    last_update_time: 0,
    ...row,
  })
  const experiment = row.id ?? id
  for (const [key, value] of Object.entries(tags)) {
    await db.insertInto('experiment_tag').values({ experiment, key, value }).execute()
  }
  return experiment
}

/** The internal id of the run. */
export async function insertTestRun(db: Db, testRun: TestRun): Promise<number> {
  const { metrics, params, tags, datasets, ...row } = testRun
  const { experiment } = row
  const artifact_uri = `s3://bucket/${row.uuid}`
  const run = await insertTestRow(db, 'run', { ...row, artifact_uri, deleted_time: null })
  const keys = [metrics, params, tags].flatMap((entries) => Object.keys(entries))
  const ids = await keyNames(db).ensure(db, new Set(keys))
  keyNames(db).committed()
  const idOf = (key: string) => ids.get(key) ?? 0

  for (const [key, number] of Object.entries(metrics)) {
    const is_nan = Number.isNaN(number) ? 1 : 0
    const value = is_nan ? 0 : Math.max(-Number.MAX_VALUE, Math.min(number, Number.MAX_VALUE))
    const first = { first: value, first_is_nan: is_nan, first_step: 0, first_ts: 0 }
    const summary = { n: 1, step: 0, ts: 0, value, is_nan, min: value, max: value, ...first }
    await db
      .insertInto('metric_latest')
      .values({ run, key: idOf(key), experiment, ...summary })
      .execute()
  }
  for (const [key, value] of Object.entries(params)) {
    await db
      .insertInto('param')
      .values({ run, key: idOf(key), experiment, value })
      .execute()
  }
  for (const [key, value] of Object.entries(tags)) {
    await db
      .insertInto('tag')
      .values({ run, key: idOf(key), experiment, value })
      .execute()
  }
  for (const dataset of datasets) await insertTestDataset(db, { run, experiment, ...dataset })
  return run
}

async function insertTestDataset(
  db: Db,
  use: { run: number; experiment: number; name: string; digest: string; context: string | null },
): Promise<void> {
  const { run, experiment, name, digest, context } = use
  const known = await db
    .selectFrom('dataset')
    .select('id')
    .where('experiment', '=', experiment)
    .where('name', '=', name)
    .where('digest', '=', digest)
    .executeTakeFirst()
  const nothing = { source_type: 'local', source: '', schema: null, profile: null }
  const dataset =
    known?.id ?? (await insertTestRow(db, 'dataset', { experiment, name, digest, ...nothing }))
  await db.insertInto('run_dataset').values({ run, dataset, experiment, context }).execute()
}
