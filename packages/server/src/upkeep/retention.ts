import { type Db, inPieces, lockRow } from '../db/dialect.ts'
import { STAGE_ACTIVE, STAGE_DELETED } from '../db/schema.ts'
import { beforeWrite, hasEnded, type RunRow, updateRunStage } from '../tracking/run-store.ts'
import { type GarbageOptions, purge, retried } from './collect-garbage.ts'
import { parseDuration } from './duration.ts'
import { withDatabase } from './open-database.ts'
import { type Binned, listBinnedRuns } from './purge-store.ts'

/** The tag of an experiment that says how long its runs are kept after they ended, such as `30d`. */
export const RETENTION_TAG = 'millrace.retention'

/** How long what retention looks after stays in the bin, unless the command says. */
const IN_BIN_MS = parseDuration('30d')

export interface RetentionOptions extends Omit<GarbageOptions, 'query'> {
  /** How long runs stay in the bin before they are purged. */
  olderThanMs?: number | undefined
}

/**
 * Applies the tag `millrace.retention` of experiments: runs that ended longer ago go to the bin,
 * and those that have been there for long are purged with the logged models they made. What a
 * version of a registered model refers to stays where it is.
 */
export async function applyRetention(options: RetentionOptions): Promise<void> {
  const { isTrial, print, olderThanMs = IN_BIN_MS } = options
  await withDatabase(options.database, isTrial ? 'read' : 'write', async (db) => {
    const rules = await listRules(db, print)
    const nowMs = Date.now()
    for (const { experiment, ms } of rules) {
      const due = await listDue(db, experiment, nowMs - ms)
      let moved = 0
      for (const run of due) {
        if (isTrial || (await retried(() => moveToBin(db, run, nowMs - ms)))) moved++
      }
      if (moved === 0) continue
      const does = isTrial ? 'would go' : 'went'
      print(`${moved} run(s) of experiment ${experiment} ${does} to the bin.`)
    }
    const experiments = rules.map(({ experiment }) => experiment)
    const inBin = await listBinnedRuns(db, experiments)
    const runs = inBin.filter(({ deletedMs }) => deletedMs <= nowMs - olderThanMs)
    const rest = { experiments: [], modelsOfExperiments: [], notices: [] }
    if (isTrial) {
      const models = await listModels(db, experiments, runs)
      return purge(db, { runs, models, ...rest }, options)
    }
    await purge(db, { runs, models: [], ...rest }, options)
    const models = await putInBin(db, await listModels(db, experiments, []))
    await purge(db, { runs: [], models, ...rest }, options)
  })
}

interface Rule {
  experiment: number
  ms: number
}

async function listRules(db: Db, print: (line: string) => void): Promise<Rule[]> {
  const rows = await db
    .selectFrom('experiment_tag')
    .innerJoin('experiment', 'experiment.id', 'experiment_tag.experiment')
    .select(['experiment', 'value'])
    .where('key', '=', RETENTION_TAG)
    .where('stage', '=', STAGE_ACTIVE)
    .orderBy('experiment')
    .execute()
  return rows.flatMap(({ experiment, value }) => {
    try {
      return [{ experiment, ms: parseDuration(value) }]
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      print(`Experiment ${experiment} is left alone: its tag ${RETENTION_TAG}: ${reason}`)
      return []
    }
  })
}

/** Ended runs that are due, without those that a model version refers to. */
async function listDue(db: Db, experiment: number, limitMs: number): Promise<RunRow[]> {
  const rows = await db
    .selectFrom('run')
    .selectAll()
    .where('experiment', '=', experiment)
    .where('stage', '=', STAGE_ACTIVE)
    .where('end_time', '<', limitMs)
    .orderBy('id')
    .execute()
  const ended = rows.filter(hasEnded)
  const registered = new Set<string>()
  for (const uuids of inPieces(ended.map(({ uuid }) => uuid))) {
    const versions = await db
      .selectFrom('model_version')
      .select('run_id')
      .where('run_id', 'in', uuids)
      .execute()
    for (const { run_id } of versions) registered.add(run_id)
  }
  return ended.filter(({ uuid }) => !registered.has(uuid))
}

async function moveToBin(db: Db, { id, uuid }: RunRow, limitMs: number): Promise<boolean> {
  return db.transaction().execute(async (db) => {
    await lockRow(db, 'run', id)
    const run = await db.selectFrom('run').selectAll().where('id', '=', id).executeTakeFirst()
    if (run?.uuid !== uuid || run.stage !== STAGE_ACTIVE || !hasEnded(run)) return false
    if (run.end_time === null || run.end_time >= limitMs) return false
    await beforeWrite(db, run)
    await updateRunStage(db, id, STAGE_DELETED)
    return true
  })
}

/**
 * Logged models of these experiments whose run is gone, or is one of `doomed`, without those that a
 * model version refers to.
 */
async function listModels(
  db: Db,
  experiments: readonly number[],
  doomed: readonly Binned[],
): Promise<Binned[]> {
  const versions = await db
    .selectFrom('model_version')
    .select('model_id')
    .where('model_id', 'is not', null)
    .execute()
  const registered = new Set(versions.map(({ model_id }) => model_id))
  const names = new Set(doomed.map(({ name }) => name))
  const found: Binned[] = []
  for (const piece of inPieces(experiments)) {
    const rows = await db
      .selectFrom('logged_model')
      .leftJoin('run', 'run.uuid', 'logged_model.source_run_id')
      .select(['logged_model.id', 'model_id', 'logged_model.experiment', 'artifact_location'])
      .select(['run.uuid', 'source_run_id'])
      .where('logged_model.experiment', 'in', piece)
      .where('source_run_id', '!=', '')
      .orderBy('logged_model.id')
      .execute()
    for (const { id, model_id: name, experiment, artifact_location: uri, uuid } of rows) {
      const isDoomed = uuid === null || names.has(uuid)
      if (isDoomed && !registered.has(name)) found.push({ id, name, experiment, uri, deletedMs: 0 })
    }
  }
  return found
}

/** Only what is in the bin is purged. */
async function putInBin(db: Db, models: readonly Binned[]): Promise<Binned[]> {
  const deletedMs = Date.now()
  for (const ids of inPieces(models.map(({ id }) => id))) {
    await db
      .updateTable('logged_model')
      .set({ stage: STAGE_DELETED, last_updated_time: deletedMs })
      .where('id', 'in', ids)
      .execute()
  }
  return models.map((model) => ({ ...model, deletedMs }))
}
