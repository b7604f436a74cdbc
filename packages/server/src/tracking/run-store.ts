import { invalid, invariant, notFound } from '@millrace/api/errors'
import { RUN_STATUSES, type RunInfo, type RunStatus } from '@millrace/api/runs'
import type { Selectable } from 'kysely'
import { compileOnce, type Db, insertReturningId, insertRows, lockRow } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import { type Int64, type RunTable, STAGE_ACTIVE, STAGE_DELETED } from '../db/schema.ts'
import { rememberRun } from './known-runs.ts'
import { touch } from './touched-runs.ts'

export type RunRow = Selectable<RunTable>

/** The tag that repeats a run's name. */
export const RUN_NAME_TAG = 'mlflow.runName'

/** The first of those that end a run. */
export const STATUS_FINISHED = 3

/** Whether a run's status says that nothing more is to come. */
export function hasEnded(run: Pick<RunRow, 'status'>): boolean {
  return run.status >= STATUS_FINISHED
}

/** The number that a status is stored as. */
export function statusNumber(status: RunStatus): number {
  return RUN_STATUSES.indexOf(status) + 1
}

const selectByUuid = compileOnce<{ uuid: string }, RunRow>((db, param) =>
  db.selectFrom('run').selectAll().where('uuid', '=', param('uuid')),
)

/** The run of that id, deleted ones included, or undefined. */
export async function findRun(db: Db, run_id: string): Promise<RunRow | undefined> {
  const [row] = await selectByUuid(db, { uuid: run_id })
  return row
}

/** The run of that id, deleted ones included, or a 404. */
export async function getRun(db: Db, run_id: string): Promise<RunRow> {
  const row = await findRun(db, run_id)
  if (row === undefined) throw notFound(`Run with id=${run_id} not found`)
  return row
}

/** The run of that id, which must not be deleted: it is about to be written to. */
export async function getRunToWrite(db: Db, run_id: string): Promise<RunRow> {
  const row = await getRun(db, run_id)
  if (row.stage !== STAGE_ACTIVE) {
    throw invalid(`The run ${run_id} must be in the 'active' state. Current state is deleted.`)
  }
  rememberRun(db, row)
  await beforeWrite(db, row)
  return row
}

/**
 * Drops what was derived from the run and lets background work look at it again. Only ended runs
 * have a document; locked, they get no new one before this transaction ends.
 */
export async function beforeWrite(db: Db, run: RunRow): Promise<void> {
  if (hasEnded(run)) {
    await lockRow(db, 'run', run.id)
    await deleteDoc(db, { run: run.id })
  }
  touch(db, run.id)
}

const deleteDoc = compileOnce<{ run: number }, unknown>((db, param) =>
  db.deleteFrom('run_doc').where('run', '=', param('run')),
)

/** The id of a run from either of the names that requests give it. */
export function requireRunId(input: {
  run_id?: string | undefined
  run_uuid?: string | undefined
}): string {
  const run_id = input.run_id || input.run_uuid
  if (!run_id) {
    throw invalid(
      "Missing value for required parameter 'run_id'. See the API docs for more information about request parameters.",
    )
  }
  return run_id
}

interface NewRun {
  experiment: number
  uuid: string
  name: string
  user_id: string
  status: number
  start_time: Int64
  artifact_uri: string
}

const insert = insertReturningId(
  'run',
  [
    'experiment',
    'uuid',
    'name',
    'user_id',
    'status',
    'start_time',
    'artifact_uri',
    'end_time',
    'stage',
    'deleted_time',
  ],
  'uuid',
)

export async function insertRun(db: Db, run: NewRun): Promise<RunRow> {
  const row = { ...run, end_time: null, stage: STAGE_ACTIVE, deleted_time: null }
  return { ...row, id: await insert(db, row) }
}

export async function updateRun(
  db: Db,
  id: number,
  change: Partial<Pick<RunRow, 'name' | 'status' | 'end_time'>>,
): Promise<void> {
  if (Object.keys(change).length === 0) return
  await db.updateTable('run').set(change).where('id', '=', id).execute()
}

/** Moves a run to or from the bin; doing it twice is fine. */
export async function updateRunStage(db: Db, id: number, stage: number): Promise<void> {
  const deleted_time = stage === STAGE_DELETED ? Date.now() : null
  await db.updateTable('run').set({ stage, deleted_time }).where('id', '=', id).execute()
}

const insertNewParams = insertRows('param', {
  columns: ['run', 'key', 'experiment', 'value'],
  key: ['run', 'key'],
  whenThere: 'keep',
})

const selectParam = compileOnce<{ run: number; key: number }, { value: string }>((db, param) =>
  db
    .selectFrom('param')
    .select('value')
    .where('run', '=', param('run'))
    .where('key', '=', param('key')),
)

const selectParams = compileOnce<{ run: number }, { key: number; value: string }>((db, param) =>
  db.selectFrom('param').select(['key', 'value']).where('run', '=', param('run')),
)

export interface ParamChange {
  key: string
  old_value: string
  new_value: string
}

/**
 * Inserts params that are new and returns those that already have another value. What is there is
 * read after the insert: then it includes what another writer put there in the meantime.
 */
export async function insertParams(
  db: Db,
  { id: run, experiment }: RunRow,
  params: readonly { key: string; value: string }[],
): Promise<ParamChange[]> {
  const ids = await keyNames(db).ensure(
    db,
    params.map(({ key }) => key),
  )
  const rows = params.map(({ key, value }) => ({ run, key: idOf(ids, key), experiment, value }))
  await insertNewParams(db, rows)
  const stored = await readParams(
    db,
    run,
    rows.map(({ key }) => key),
  )
  return params.flatMap(({ key, value }) => {
    const old_value = stored.get(idOf(ids, key)) ?? value
    return old_value === value ? [] : [{ key, old_value, new_value: value }]
  })
}

/** Values of some params of a run; of many, all are read, because that is one statement. */
async function readParams(db: Db, run: number, keys: number[]): Promise<Map<number, string>> {
  const [key] = keys
  if (keys.length !== 1 || key === undefined) {
    return new Map((await selectParams(db, { run })).map((row) => [row.key, row.value]))
  }
  return new Map((await selectParam(db, { run, key })).map(({ value }) => [key, value]))
}

const replaceTags = insertRows('tag', {
  columns: ['run', 'key', 'experiment', 'value'],
  key: ['run', 'key'],
  whenThere: 'replace',
})

/** Sets tags of a run; of a key that comes twice the later value stays. */
export async function upsertTags(
  db: Db,
  { id: run, experiment }: Pick<RunRow, 'id' | 'experiment'>,
  tags: readonly { key: string; value: string }[],
): Promise<void> {
  const ids = await keyNames(db).ensure(
    db,
    tags.map(({ key }) => key),
  )
  const byKey = new Map(tags.map(({ key, value }) => [idOf(ids, key), value]))
  const rows = [...byKey].map(([key, value]) => ({ run, key, experiment, value }))
  await replaceTags(
    db,
    rows.sort((a, b) => a.key - b.key),
  )
}

/** Deletes a tag of a run and says whether there was one. */
export async function deleteTag(db: Db, run: number, name: string): Promise<boolean> {
  const key = (await keyNames(db).find(db, [name])).get(name)
  if (key === undefined) return false
  const { numDeletedRows } = await db
    .deleteFrom('tag')
    .where('run', '=', run)
    .where('key', '=', key)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

/** The value of a tag of a run, or undefined. */
export async function findTag(db: Db, run: number, name: string): Promise<string | undefined> {
  const key = (await keyNames(db).find(db, [name])).get(name)
  if (key === undefined) return undefined
  const row = await db
    .selectFrom('tag')
    .select('value')
    .where('run', '=', run)
    .where('key', '=', key)
    .executeTakeFirst()
  return row?.value
}

/** The id of a name that was just ensured. */
export function idOf(ids: ReadonlyMap<string, number>, name: string): number {
  const id = ids.get(name)
  invariant(id !== undefined, `the name '${name}' was given an id`)
  return id
}

/** A run's `info` as it travels. */
export function toWireInfo(row: RunRow): RunInfo {
  const status = RUN_STATUSES[row.status - 1]
  invariant(status, `run ${row.uuid} has status ${row.status}`)
  return {
    run_uuid: row.uuid,
    experiment_id: String(row.experiment),
    run_name: row.name,
    user_id: row.user_id,
    status,
    start_time: row.start_time,
    ...(row.end_time !== null && { end_time: row.end_time }),
    artifact_uri: row.artifact_uri,
    lifecycle_stage: row.stage === STAGE_ACTIVE ? 'active' : 'deleted',
    run_id: row.uuid,
  }
}
