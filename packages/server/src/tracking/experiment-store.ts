import { alreadyExists, invalid, notFound } from '@millrace/api/errors'
import type { Experiment } from '@millrace/api/experiments'
import { type Selectable, sql } from 'kysely'
import {
  compileOnce,
  type Db,
  inPieces,
  insertReturningId,
  insertRows,
  isUniqueViolation,
  kindOf,
} from '../db/dialect.ts'
import { groupedRead } from '../db/grouped-reads.ts'
import { compileForLists } from '../db/list-statement.ts'
import { type ExperimentTable, STAGE_ACTIVE, STAGE_DELETED } from '../db/schema.ts'

export type ExperimentRow = Selectable<ExperimentTable>

const ID_MAX_DIGITS = 15

/** An experiment's id as the integer it is stored as; -1 for an integer that no id can be. */
export function parseExperimentId(experiment_id: string): number {
  if (!/^[+-]?\d+$/.test(experiment_id.trim())) {
    throw invalid(
      `Invalid experiment ID '${experiment_id.slice(0, 200)}'. Experiment ID must be a valid integer.`,
    )
  }
  return experiment_id.trim().length > ID_MAX_DIGITS ? -1 : Number(experiment_id)
}

const selectById = compileOnce<{ id: number }, ExperimentRow>((db, param) =>
  db.selectFrom('experiment').selectAll().where('id', '=', param('id')),
)

/** The experiment of that id, deleted ones included, or a 404. */
export async function getExperiment(db: Db, experiment_id: string): Promise<ExperimentRow> {
  const [row] = await selectById(db, { id: parseExperimentId(experiment_id) })
  if (row === undefined) throw noSuchExperiment(experiment_id)
  return row
}

interface TaggedRow extends ExperimentRow {
  tag_key: string | null
  tag_value: string | null
}

function taggedRows(db: Db) {
  return db
    .selectFrom('experiment')
    .leftJoin('experiment_tag', 'experiment_tag.experiment', 'experiment.id')
    .selectAll('experiment')
    .select(['experiment_tag.key as tag_key', 'experiment_tag.value as tag_value'])
    .orderBy('experiment_tag.key')
}

const selectWithTags = compileOnce<{ id: number }, TaggedRow>((db, param) =>
  taggedRows(db).where('experiment.id', '=', param('id')),
)

const selectAllWithTags = compileOnce<{ ids: number[] }, TaggedRow>((db, param) =>
  taggedRows(db).where(sql<boolean>`experiment.id = any(${param('ids')}::bigint[])`),
)

const selectListWithTags = compileForLists<number, TaggedRow>((db, ids) =>
  taggedRows(db).where(sql<boolean>`experiment.id in (${ids})`),
)

const readGrouped = groupedRead<number, Experiment>(async (db, ids) => {
  const all = await selectGroup(db, ids)
  const rows = Map.groupBy(all, ({ id }) => id)
  const found = new Map<number, Experiment>()
  for (const [id, ofOne] of rows) {
    const experiment = toWireTagged(ofOne)
    if (experiment !== undefined) found.set(id, experiment)
  }
  return found
})

function selectGroup(db: Db, ids: readonly number[]): Promise<TaggedRow[]> {
  const [id] = ids
  if (ids.length === 1 && id !== undefined) return selectWithTags(db, { id })
  return kindOf(db) === 'mysql'
    ? selectListWithTags(db, ids)
    : selectAllWithTags(db, { ids: [...ids] })
}

/** The experiment of that id with its tags, as it travels, deleted ones included, or a 404. */
export async function getWireExperiment(db: Db, experiment_id: string): Promise<Experiment> {
  const id = parseExperimentId(experiment_id)
  const canGroup = kindOf(db) !== 'sqlite' && !db.isTransaction
  const experiment = canGroup
    ? await readGrouped(db, id)
    : toWireTagged(await selectWithTags(db, { id }))
  if (experiment === undefined) throw noSuchExperiment(experiment_id)
  return experiment
}

function toWireTagged(rows: readonly TaggedRow[]): Experiment | undefined {
  const [row] = rows
  if (row === undefined) return undefined
  const tags = rows.flatMap(({ tag_key, tag_value }) =>
    tag_key === null ? [] : [{ key: tag_key, value: tag_value ?? '' }],
  )
  return toWire(row, tags.length > 0 ? tags : undefined)
}

/** 404 in MLflow's words. */
export function noSuchExperiment(experiment_id: string) {
  return notFound(`No Experiment with id=${experiment_id} exists`)
}

/** The experiment of that id, which must not be deleted. */
export async function getActiveExperiment(db: Db, experiment_id: string): Promise<ExperimentRow> {
  const row = await getExperiment(db, experiment_id)
  if (row.stage !== STAGE_ACTIVE) {
    throw invalid(
      `The experiment ${experiment_id} must be in the 'active' state. Current state is deleted.`,
    )
  }
  return row
}

export function findExperimentByName(db: Db, workspace: string, name: string) {
  return db
    .selectFrom('experiment')
    .selectAll()
    .where('workspace', '=', workspace)
    .where('name', '=', name)
    .executeTakeFirst()
}

const EXPERIMENT_COLUMNS = [
  'workspace',
  'name',
  'artifact_location',
  'stage',
  'creation_time',
  'last_update_time',
] as const

const insert = insertReturningId('experiment', EXPERIMENT_COLUMNS)
const insertWithId = insertReturningId('experiment', ['id', ...EXPERIMENT_COLUMNS])

/** Inserts an experiment whose artifact location may depend on its id. */
export async function insertExperiment(
  db: Db,
  experiment: { workspace: string; name: string; creation_time: number; id?: number },
  locate: (id: number) => string,
): Promise<number> {
  const { workspace, name, creation_time } = experiment
  try {
    const row = {
      workspace,
      name,
      artifact_location: '',
      stage: STAGE_ACTIVE,
      creation_time,
      last_update_time: creation_time,
    }
    const id = experiment.id ?? (await insert(db, row))
    if (experiment.id !== undefined) await insertWithId(db, { ...row, id })
    await db
      .updateTable('experiment')
      .set({ artifact_location: locate(id) })
      .where('id', '=', id)
      .execute()
    return id
  } catch (error) {
    if (isUniqueViolation(error)) throw alreadyExists(`Experiment(name=${name}) already exists.`)
    throw error
  }
}

export async function updateExperiment(
  db: Db,
  id: number,
  change: Partial<Pick<ExperimentRow, 'name' | 'stage'>>,
): Promise<void> {
  try {
    await db
      .updateTable('experiment')
      .set({ ...change, last_update_time: Date.now() })
      .where('id', '=', id)
      .execute()
  } catch (error) {
    if (isUniqueViolation(error)) {
      throw alreadyExists(`Experiment(name=${change.name}) already exists.`)
    }
    throw error
  }
}

/**
 * Moves all runs of an experiment to or from the bin, when the experiment itself goes. Changed
 * first, the runs are locked, so that no document of one is written meanwhile.
 */
export async function updateStageOfRuns(db: Db, experiment: number, stage: number): Promise<void> {
  await db
    .updateTable('run')
    .set({ stage, deleted_time: stage === STAGE_DELETED ? Date.now() : null })
    .where('experiment', '=', experiment)
    .where('stage', '!=', stage)
    .execute()
  const runs = db.selectFrom('run').select('id').where('experiment', '=', experiment)
  await db.deleteFrom('run_doc').where('run', 'in', runs).execute()
}

const replaceTags = insertRows('experiment_tag', {
  columns: ['experiment', 'key', 'value'],
  key: ['experiment', 'key'],
  whenThere: 'replace',
})

export async function upsertExperimentTag(
  db: Db,
  experiment: number,
  { key, value }: { key: string; value: string },
): Promise<void> {
  await replaceTags(db, [{ experiment, key, value }])
}

/** Deletes a tag and says whether there was one. */
export async function deleteExperimentTag(db: Db, experiment: number, key: string) {
  const { numDeletedRows } = await db
    .deleteFrom('experiment_tag')
    .where('experiment', '=', experiment)
    .where('key', '=', key)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

/** Experiments in the order given, with their tags, as they travel. */
export async function toWireExperiments(db: Db, rows: ExperimentRow[]): Promise<Experiment[]> {
  const tags = new Map<number, { key: string; value: string }[]>()
  const ids = rows.map(({ id }) => id)
  for (const piece of inPieces(ids)) {
    const found = await db
      .selectFrom('experiment_tag')
      .selectAll()
      .where('experiment', 'in', piece)
      .orderBy('experiment')
      .orderBy('key')
      .execute()
    for (const { experiment, key, value } of found) {
      const ofExperiment = tags.get(experiment)
      if (ofExperiment) ofExperiment.push({ key, value })
      else tags.set(experiment, [{ key, value }])
    }
  }
  return rows.map((row) => toWire(row, tags.get(row.id)))
}

function toWire(row: ExperimentRow, tags: Experiment['tags']): Experiment {
  return {
    experiment_id: String(row.id),
    name: row.name,
    artifact_location: row.artifact_location,
    lifecycle_stage: row.stage === STAGE_ACTIVE ? 'active' : 'deleted',
    last_update_time: row.last_update_time,
    creation_time: row.creation_time,
    workspace: row.workspace,
    ...(tags !== undefined && { tags }),
  }
}
