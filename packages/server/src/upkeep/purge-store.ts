import { type Db, inPieces, insertRows, lockRow } from '../db/dialect.ts'
import { type RunTable, STAGE_ACTIVE, STAGE_DELETED } from '../db/schema.ts'

/** Something in the bin, with what decides whether it may be purged. */
export interface Binned {
  id: number
  /** The id that clients know it by. */
  name: string
  experiment: number
  uri: string
  /** When it was put in the bin, in milliseconds. */
  deletedMs: number
}

/** What was purged from the database and whose artifacts are to be deleted still. */
export interface Pending {
  kind: 'run' | 'model'
  name: string
  uri: string
}

const PENDING = 'purge.'

const insertPending = insertRows('store', {
  columns: ['key', 'value'],
  key: ['key'],
  whenThere: 'replace',
})

/** Whose artifacts a purge that was cut short did not get to. */
export async function listPending(db: Db): Promise<Pending[]> {
  const rows = await db
    .selectFrom('store')
    .select('value')
    .where('key', '>=', PENDING)
    .where('key', '<', `${PENDING}~`)
    .execute()
  return rows.map(({ value }) => JSON.parse(value) as Pending)
}

/** Notes that the artifacts are gone. */
export async function deletePending(db: Db, { kind, name }: Pending): Promise<void> {
  await db.deleteFrom('store').where('key', '=', `${PENDING}${kind}.${name}`).execute()
}

async function notePending(db: Db, pending: Pending): Promise<void> {
  const key = `${PENDING}${pending.kind}.${pending.name}`
  await insertPending(db, [{ key, value: JSON.stringify(pending) }])
}

/** Runs in the bin, all of them or those of some experiments. */
export async function listBinnedRuns(db: Db, experiments?: readonly number[]): Promise<Binned[]> {
  const all = db
    .selectFrom('run')
    .select(['id', 'uuid', 'experiment', 'artifact_uri', 'deleted_time'])
    .where('stage', '=', STAGE_DELETED)
    .orderBy('id')
  if (experiments === undefined) return (await all.execute()).map(toBinned)
  const found: Binned[] = []
  for (const piece of inPieces(experiments)) {
    found.push(...(await all.where('experiment', 'in', piece).execute()).map(toBinned))
  }
  return found
}

type RunFacts = { id: number } & Pick<
  RunTable,
  'uuid' | 'experiment' | 'artifact_uri' | 'deleted_time'
>

function toBinned({ id, uuid, experiment, artifact_uri, deleted_time }: RunFacts): Binned {
  return { id, name: uuid, experiment, uri: artifact_uri, deletedMs: deleted_time ?? 0 }
}

/** Logged models: those in the bin, or all those of some experiments. */
export async function listDoomedModels(
  db: Db,
  which: { stage: number } | { experiments: readonly number[] },
): Promise<Binned[]> {
  const all = db
    .selectFrom('logged_model')
    .select(['id', 'model_id', 'experiment', 'artifact_location', 'last_updated_time'])
    .orderBy('id')
  const pages =
    'stage' in which
      ? [all.where('stage', '=', which.stage)]
      : inPieces(which.experiments).map((piece) => all.where('experiment', 'in', piece))
  const found: Binned[] = []
  for (const page of pages) {
    for (const row of await page.execute()) {
      const { id, model_id, experiment, artifact_location, last_updated_time } = row
      const deletedMs = last_updated_time
      found.push({ id, name: model_id, experiment, uri: artifact_location, deletedMs })
    }
  }
  return found
}

/** Tables whose rows are of one run each, by the column `run`. */
export const RUN_TABLES = [
  'metric_tail',
  'metric_chunk',
  'metric_latest',
  'param',
  'tag',
  'run_doc',
  'run_dataset_tag',
  'run_dataset',
  'run_model',
] as const

/** Tables whose rows are of one logged model each, by the column `model`. */
export const LOGGED_MODEL_TABLES = [
  'logged_model_metric',
  'logged_model_tag',
  'logged_model_param',
] as const

/** Tables whose rows are of one experiment each and of no run or model. */
export const EXPERIMENT_TABLES = ['dataset', 'experiment_tag'] as const

/**
 * Deletes every row of a run, if it is still in the bin since then, and notes that its artifacts are
 * next: one transaction, so that a restore comes either before, and is heeded, or too late. Returns
 * the number of rows, undefined when the run was left alone.
 */
export async function purgeRun(db: Db, run: Binned): Promise<number | undefined> {
  return db.transaction().execute(async (db) => {
    await lockRow(db, 'run', run.id)
    const row = await db.selectFrom('run').selectAll().where('id', '=', run.id).executeTakeFirst()
    if (row?.uuid !== run.name || row.stage !== STAGE_DELETED) return undefined
    if ((row.deleted_time ?? 0) > run.deletedMs) return undefined
    let rows = 0
    for (const table of RUN_TABLES) {
      const all = db.deleteFrom(table).where('run', '=', run.id)
      // The index that finds a run's fresh points begins with their experiment.
      const isTail = table === 'metric_tail'
      const own = isTail ? all.where('experiment' as never, '=', row.experiment as never) : all
      rows += Number((await own.executeTakeFirst()).numDeletedRows)
    }
    await db.deleteFrom('run').where('id', '=', run.id).execute()
    await notePending(db, { kind: 'run', name: run.name, uri: row.artifact_uri })
    return rows + 1
  })
}

/** Like `purgeRun` for a logged model, which `whole` experiments take with them from any stage. */
export async function purgeLoggedModel(
  db: Db,
  model: Binned,
  { whole }: { whole: boolean },
): Promise<number | undefined> {
  return db.transaction().execute(async (db) => {
    await lockRow(db, 'logged_model', model.id)
    const row = await db
      .selectFrom('logged_model')
      .selectAll()
      .where('id', '=', model.id)
      .executeTakeFirst()
    if (row?.model_id !== model.name) return undefined
    const isDoomed = whole
      ? await isBinnedExperiment(db, row.experiment)
      : row.stage === STAGE_DELETED && row.last_updated_time <= model.deletedMs
    if (!isDoomed) return undefined
    let rows = 0
    for (const table of LOGGED_MODEL_TABLES) {
      const { numDeletedRows } = await db
        .deleteFrom(table)
        .where('model', '=', model.id)
        .executeTakeFirst()
      rows += Number(numDeletedRows)
    }
    await db.deleteFrom('logged_model').where('id', '=', model.id).execute()
    await notePending(db, { kind: 'model', name: model.name, uri: row.artifact_location })
    return rows + 1
  })
}

async function isBinnedExperiment(db: Db, id: number): Promise<boolean> {
  await lockRow(db, 'experiment', id)
  const row = await db
    .selectFrom('experiment')
    .select('stage')
    .where('id', '=', id)
    .executeTakeFirst()
  return row?.stage === STAGE_DELETED
}

/** Deletes an experiment that is in the bin and empty; its name is free then. */
export async function purgeExperiment(db: Db, id: number): Promise<number | undefined> {
  return db.transaction().execute(async (db) => {
    if (!(await isBinnedExperiment(db, id))) return undefined
    const { runs, models } = await countContents(db, id)
    if (runs + models > 0) return undefined
    let rows = 0
    for (const table of EXPERIMENT_TABLES) {
      const { numDeletedRows } = await db
        .deleteFrom(table)
        .where('experiment', '=', id)
        .executeTakeFirst()
      rows += Number(numDeletedRows)
    }
    await db.deleteFrom('experiment').where('id', '=', id).execute()
    return rows + 1
  })
}

/** How much an experiment holds, and how many of its runs are not in the bin. */
export async function countContents(
  db: Db,
  experiment: number,
): Promise<{ runs: number; activeRuns: number; models: number }> {
  const runs = await db
    .selectFrom('run')
    .select(['stage', ({ fn }) => fn.countAll<number>().as('n')])
    .where('experiment', '=', experiment)
    .groupBy('stage')
    .execute()
  const models = await db
    .selectFrom('logged_model')
    .select(({ fn }) => fn.countAll<number>().as('n'))
    .where('experiment', '=', experiment)
    .executeTakeFirstOrThrow()
  return {
    runs: runs.reduce((sum, { n }) => sum + n, 0),
    activeRuns: runs.find(({ stage }) => stage === STAGE_ACTIVE)?.n ?? 0,
    models: models.n,
  }
}
