import { sql } from 'kysely'
import { type Db, insertRows, kindOf, lockRow } from '../db/dialect.ts'
import { beforeWrite, findRun, insertRun, type RunRow, updateRun } from '../tracking/run-store.ts'
import { LOGGED_MODEL_TABLES } from './purge-store.ts'

/** Tables of a run that carry its experiment, with what a copy takes over. */
export const COPIED_COLUMNS = {
  metric_tail: ['folded', 'n', 'data'],
  metric_chunk: [
    'level',
    'first_key',
    'last_key',
    'n',
    'min_step',
    'max_step',
    'min_ts',
    'max_ts',
    'data',
  ],
  metric_latest: [
    'key',
    'n',
    'step',
    'ts',
    'value',
    'is_nan',
    'min',
    'max',
    'first',
    'first_is_nan',
    'first_step',
    'first_ts',
  ],
  param: ['key', 'value'],
  tag: ['key', 'value'],
} as const

/**
 * Gives every row of a run, and the logged models that it made, to another experiment. On a server a
 * write that began before may still be under way with the old one, so `settleMoves` looks again.
 */
export async function moveRun(db: Db, run: RunRow, experiment: number): Promise<void> {
  await db.updateTable('run').set({ experiment }).where('id', '=', run.id).execute()
  for (const table of Object.keys(COPIED_COLUMNS) as (keyof typeof COPIED_COLUMNS)[]) {
    await db
      .updateTable(table as 'param')
      .set({ experiment })
      .where('experiment', '=', run.experiment)
      .where('run', '=', run.id)
      .execute()
  }
  await moveDatasets(db, run.id, experiment)
  await moveModels(db, run, experiment)
  await noteMove(db, run.id)
}

async function moveModels(
  db: Db,
  { uuid, experiment: from }: Pick<RunRow, 'uuid' | 'experiment'>,
  experiment: number,
): Promise<void> {
  const models = await db
    .selectFrom('logged_model')
    .select('id')
    .where('source_run_id', '=', uuid)
    .where('experiment', '=', from)
    .orderBy('id')
    .execute()
  for (const { id } of models) {
    await lockRow(db, 'logged_model', id)
    await db.updateTable('logged_model').set({ experiment }).where('id', '=', id).execute()
    await moveModelRows(db, id, experiment)
  }
}

async function moveModelRows(db: Db, model: number, experiment: number): Promise<void> {
  for (const table of LOGGED_MODEL_TABLES) {
    await db
      .updateTable(table)
      .set({ experiment })
      .where('model', '=', model)
      .where('experiment', '!=', experiment)
      .execute()
  }
}

const insertDataset = insertRows('dataset', {
  columns: ['experiment', 'name', 'digest', 'source_type', 'source', 'schema', 'profile'],
  key: ['experiment', 'name', 'digest'],
  whenThere: 'keep',
})

/** The datasets of a run that are of another experiment than this one. */
async function listForeignDatasets(db: Db, run: number, experiment: number) {
  return db
    .selectFrom('run_dataset')
    .innerJoin('dataset', 'dataset.id', 'run_dataset.dataset')
    .selectAll('dataset')
    .select('context')
    .where('run', '=', run)
    .where('dataset.experiment', '!=', experiment)
    .execute()
}

type Dataset = Awaited<ReturnType<typeof listForeignDatasets>>[number]

/** The id of the same dataset in another experiment, where it is made if need be. */
async function ensureDataset(db: Db, dataset: Dataset, experiment: number): Promise<number> {
  const { id: _id, context: _context, ...facts } = dataset
  await insertDataset(db, [{ ...facts, experiment }])
  const { id } = await db
    .selectFrom('dataset')
    .select('id')
    .where('experiment', '=', experiment)
    .where('name', '=', dataset.name)
    .where('digest', '=', dataset.digest)
    .executeTakeFirstOrThrow()
  return id
}

async function moveDatasets(db: Db, run: number, experiment: number): Promise<void> {
  for (const dataset of await listForeignDatasets(db, run, experiment)) {
    const id = await ensureDataset(db, dataset, experiment)
    await db
      .updateTable('run_dataset')
      .set({ dataset: id, experiment })
      .where('run', '=', run)
      .where('dataset', '=', dataset.id)
      .execute()
    await db
      .updateTable('run_dataset_tag')
      .set({ dataset: id })
      .where('run', '=', run)
      .where('dataset', '=', dataset.id)
      .execute()
  }
}

const MOVED = 'moved.'
/** No transaction of a server lasts longer (`db/group-writer.ts`). */
const SETTLED_AFTER_MS = 30_000
const LOOK_INTERVAL_MS = 15_000

const insertMove = insertRows('store', {
  columns: ['key', 'value'],
  key: ['key'],
  whenThere: 'replace',
})

/** SQLite has one writer, so nothing can be under way beside a move. */
async function noteMove(db: Db, run: number): Promise<void> {
  if (kindOf(db) === 'sqlite') return
  await insertMove(db, [{ key: `${MOVED}${run}`, value: String(Date.now()) }])
}

const lookedAtMs = new WeakMap<object, number>()

/** Moves the rows that were written to a run while it moved, once no write can be left. */
export async function settleMoves(db: Db, nowMs = Date.now()): Promise<void> {
  if (kindOf(db) === 'sqlite') return
  const { adapter } = db.getExecutor()
  if (nowMs - (lookedAtMs.get(adapter) ?? 0) < LOOK_INTERVAL_MS) return
  lookedAtMs.set(adapter, nowMs)
  const notes = await db
    .selectFrom('store')
    .selectAll()
    .where('key', '>=', MOVED)
    .where('key', '<', `${MOVED}~`)
    .execute()
  for (const { key, value } of notes) {
    if (Number(value) > nowMs - SETTLED_AFTER_MS) continue
    await settleRun(db, Number(key.slice(MOVED.length)))
    await db.deleteFrom('store').where('key', '=', key).where('value', '=', value).execute()
  }
}

async function settleRun(db: Db, id: number): Promise<void> {
  await lockRow(db, 'run', id)
  const run = await db.selectFrom('run').selectAll().where('id', '=', id).executeTakeFirst()
  if (run === undefined) return
  const { experiment } = run
  for (const table of Object.keys(COPIED_COLUMNS) as (keyof typeof COPIED_COLUMNS)[]) {
    await db
      .updateTable(table as 'param')
      .set({ experiment })
      .where('run', '=', id)
      .where('experiment', '!=', experiment)
      .execute()
  }
  await moveDatasets(db, id, experiment)
  const models = await db
    .selectFrom('logged_model')
    .select('id')
    .where('source_run_id', '=', run.uuid)
    .where('experiment', '=', experiment)
    .execute()
  for (const model of models) await moveModelRows(db, model.id, experiment)
  await beforeWrite(db, run)
}

/** Inserts a run like another one, with copies of all its rows, in another experiment. */
export async function insertCopy(
  db: Db,
  source: RunRow,
  target: Pick<RunRow, 'uuid' | 'experiment' | 'artifact_uri' | 'name'>,
): Promise<RunRow> {
  const { user_id, status, start_time, end_time } = source
  const copy = await insertRun(db, { ...target, user_id, status, start_time })
  await updateRun(db, copy.id, { end_time })
  for (const [table, columns] of Object.entries(COPIED_COLUMNS)) {
    await copyRows(db, { table, columns, from: source, to: copy })
  }
  await copyDatasets(db, source, copy)
  const links = ['model_id', 'direction', 'step'].map((column) => sql.ref(column))
  await sql`
    insert into run_model (run, ${sql.join(links)})
    select ${sql.lit(copy.id)}, ${sql.join(links)} from run_model
    where run = ${source.id}`.execute(db)
  return (await findRun(db, copy.uuid)) ?? copy
}

interface RowsToCopy {
  table: string
  columns: readonly string[]
  from: RunRow
  to: RunRow
}

async function copyRows(db: Db, { table, columns, from, to }: RowsToCopy): Promise<void> {
  const names = sql.join(columns.map((column) => sql.ref(column)))
  await sql`
    insert into ${sql.table(table)} (run, experiment, ${names})
    select ${sql.lit(to.id)}, ${sql.lit(to.experiment)}, ${names} from ${sql.table(table)}
    where experiment = ${from.experiment} and run = ${from.id}`.execute(db)
}

const insertLinks = insertRows('run_dataset', {
  columns: ['run', 'dataset', 'experiment', 'context'],
  key: ['run', 'dataset'],
  whenThere: 'keep',
})

const insertLinkTags = insertRows('run_dataset_tag', {
  columns: ['run', 'dataset', 'key', 'value'],
  key: ['run', 'dataset', 'key'],
  whenThere: 'keep',
})

async function copyDatasets(db: Db, from: RunRow, to: RunRow): Promise<void> {
  const isSame = from.experiment === to.experiment
  const links = await listForeignDatasets(db, from.id, -1)
  for (const dataset of links) {
    const id = isSame ? dataset.id : await ensureDataset(db, dataset, to.experiment)
    const { experiment } = to
    await insertLinks(db, [{ run: to.id, dataset: id, experiment, context: dataset.context }])
    const tags = await db
      .selectFrom('run_dataset_tag')
      .select(['key', 'value'])
      .where('run', '=', from.id)
      .where('dataset', '=', dataset.id)
      .execute()
    await insertLinkTags(
      db,
      tags.map((tag) => ({ ...tag, run: to.id, dataset: id })),
    )
  }
}
