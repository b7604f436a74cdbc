import { ApiError, invalid } from '@millrace/api/errors'
import { type Db, inPieces } from '../db/dialect.ts'
import { STAGE_ACTIVE, STAGE_DELETED } from '../db/schema.ts'
import { type ExperimentRow, getExperiment } from '../tracking/experiment-store.ts'
import { getLoggedModel } from '../tracking/logged-model-store.ts'
import { getRun } from '../tracking/run-store.ts'
import { type Binned, countContents, listBinnedRuns, listDoomedModels } from './purge-store.ts'

/** What `mlflow gc` is asked to purge; without ids everything of that kind that is in the bin. */
export interface GarbageQuery {
  run_ids?: readonly string[]
  experiment_ids?: readonly string[]
  model_ids?: readonly string[]
  /** Only what has been in the bin for that long; `text` is how it was written. */
  olderThan?: { text: string; ms: number }
}

/** What is to be purged, in this order. */
export interface Garbage {
  runs: Binned[]
  /** Logged models in the bin. */
  models: Binned[]
  /** Experiments in the bin, which take the logged models that are left in them along. */
  experiments: ExperimentRow[]
  modelsOfExperiments: Binned[]
  /** What stays although it was in question, and why. */
  notices: string[]
}

/**
 * Finds what may be purged, by the rules of MLflow 3.17 `mlflow gc`. A thing that is named and may
 * not be purged refuses the whole, before anything is.
 *
 * @throws ApiError in MLflow's words
 */
export async function selectGarbage(db: Db, query: GarbageQuery): Promise<Garbage> {
  const nowMs = Date.now()
  const limitMs = nowMs - (query.olderThan?.ms ?? 0)
  const { experiments, notices } = await selectExperiments(db, query, limitMs)
  const ids = experiments.map(({ id }) => id)
  const inBin = await listBinnedRuns(db)
  const named = query.run_ids
    ? await namedRuns(db, query.run_ids, inBin)
    : inBin.filter(({ deletedMs }) => deletedMs <= limitMs)
  const ofExperiments = inBin.filter(({ experiment }) => ids.includes(experiment))
  const runs = [...new Map([...named, ...ofExperiments].map((run) => [run.name, run])).values()]
  for (const { name, deletedMs } of runs) {
    if (deletedMs > limitMs) throw tooYoung(`Run ${name} is`, 'runs', query)
  }
  const models = await selectModels(db, query, limitMs)
  const modelIds = new Set(models.map(({ name }) => name))
  const inExperiments = await listDoomedModels(db, { experiments: ids })
  return {
    runs,
    models,
    experiments,
    modelsOfExperiments: inExperiments.filter(({ name }) => !modelIds.has(name)),
    notices,
  }
}

async function namedRuns(db: Db, run_ids: readonly string[], inBin: Binned[]): Promise<Binned[]> {
  const byName = new Map(inBin.map((run) => [run.name, run]))
  const found: Binned[] = []
  for (const run_id of run_ids) {
    const run = byName.get(run_id)
    if (run === undefined) {
      await getRun(db, run_id)
      throw invalid(
        `Run ${run_id} is not in \`deleted\` lifecycle stage. Only runs in \`deleted\` lifecycle stage can be deleted.`,
      )
    }
    found.push(run)
  }
  return found
}

async function selectModels(db: Db, query: GarbageQuery, limitMs: number): Promise<Binned[]> {
  const inBin = await listDoomedModels(db, { stage: STAGE_DELETED })
  if (query.model_ids === undefined) return inBin.filter(({ deletedMs }) => deletedMs <= limitMs)
  const byName = new Map(inBin.map((model) => [model.name, model]))
  const found: Binned[] = []
  for (const model_id of query.model_ids) {
    const model = byName.get(model_id)
    if (model === undefined) {
      await getLoggedModel(db, model_id, { allowDeleted: true })
      throw invalid(
        `Logged model ${model_id} is not in \`deleted\` lifecycle stage. Only logged models in \`deleted\` lifecycle stage can be deleted.`,
      )
    }
    if (model.deletedMs > limitMs) {
      throw tooYoung(`Logged model ${model_id} is`, 'logged models', query)
    }
    found.push(model)
  }
  return found
}

function tooYoung(what: string, kind: string, { olderThan }: GarbageQuery): ApiError {
  return invalid(
    `${what} not older than the required age. Only ${kind} older than ${olderThan?.text} can be deleted.`,
  )
}

interface ExperimentChoice {
  experiments: ExperimentRow[]
  notices: string[]
}

async function selectExperiments(
  db: Db,
  query: GarbageQuery,
  limitMs: number,
): Promise<ExperimentChoice> {
  const { experiment_ids = [], olderThan } = query
  const named: ExperimentRow[] = []
  for (const id of new Set(experiment_ids)) named.push(await getExperiment(db, id))
  const inBin = experiment_ids.length > 0 ? named : await listBinnedExperiments(db)

  const active = inBin.filter(({ stage }) => stage === STAGE_ACTIVE)
  if (active.length > 0) {
    throw invalid(
      `Experiments ${pythonList(active)} are not in the deleted lifecycle stage. Only experiments in the deleted lifecycle stage can be hard-deleted.`,
    )
  }
  const isYoung = ({ last_update_time }: ExperimentRow) => last_update_time >= limitMs
  const young = olderThan ? inBin.filter(isYoung) : []
  if (young.length > 0 && experiment_ids.length > 0) {
    throw tooYoung(`Experiments ${pythonList(young)} are`, 'experiments', query)
  }
  const old = inBin.filter((experiment) => !young.includes(experiment))
  return withoutLiving(db, old, { isNamed: experiment_ids.length > 0, limitMs })
}

/**
 * A run that was taken out of the bin, or put there lately, keeps its experiment; MLflow deletes the
 * former with it.
 */
async function withoutLiving(
  db: Db,
  experiments: ExperimentRow[],
  { isNamed, limitMs }: { isNamed: boolean; limitMs: number },
): Promise<ExperimentChoice> {
  const binned = await listBinnedRuns(
    db,
    experiments.map(({ id }) => id),
  )
  const byExperiment = Map.groupBy(binned, ({ experiment }) => experiment)
  const choice: ExperimentChoice = { experiments: [], notices: [] }
  for (const experiment of experiments) {
    const { activeRuns } = await countContents(db, experiment.id)
    const young = (byExperiment.get(experiment.id) ?? []).filter(
      ({ deletedMs }) => deletedMs > limitMs,
    )
    if (activeRuns > 0) {
      const notice = `Experiment ${experiment.id} holds ${activeRuns} active run(s), so it stays.`
      if (isNamed) throw new ApiError('INVALID_STATE', notice)
      choice.notices.push(notice)
    } else if (young.length > 0 && !isNamed) {
      const kept = `Experiment ${experiment.id} holds ${young.length} run(s) that were deleted lately`
      choice.notices.push(`${kept}, so it stays.`)
    } else choice.experiments.push(experiment)
  }
  return choice
}

async function listBinnedExperiments(db: Db): Promise<ExperimentRow[]> {
  return db
    .selectFrom('experiment')
    .selectAll()
    .where('stage', '=', STAGE_DELETED)
    .orderBy('id')
    .execute()
}

function pythonList(experiments: readonly ExperimentRow[]): string {
  return `[${experiments.map(({ id }) => `'${id}'`).join(', ')}]`
}

/** Versions of registered models that read their files from what is to be purged. */
export interface DanglingVersion {
  name: string
  version: number
  source: string
}

/** Finds them: their `storage_location` is inside one of these directories. */
export async function findDanglingVersions(
  db: Db,
  { runs, models, modelsOfExperiments }: Garbage,
): Promise<DanglingVersion[]> {
  const all = db
    .selectFrom('model_version')
    .innerJoin('registered_model', 'registered_model.id', 'model_version.model')
    .select(['registered_model.name', 'model_version.version', 'model_version.storage_location'])
  const uriByRun = new Map(runs.map(({ name, uri }) => [name, uri]))
  const found: DanglingVersion[] = []
  for (const run_ids of inPieces([...uriByRun.keys()])) {
    const rows = await all
      .select('model_version.run_id')
      .where('model_version.run_id', 'in', run_ids)
      .execute()
    for (const { name, version, storage_location, run_id } of rows) {
      const isOfRun = storage_location.startsWith(`runs:/${run_id}/`)
      if (!isOfRun && !isInside(storage_location, uriByRun.get(run_id))) continue
      found.push({ name, version, source: `run ${run_id}` })
    }
  }
  const uriByModel = new Map(
    [...models, ...modelsOfExperiments].map(({ name, uri }) => [name, uri]),
  )
  if (uriByModel.size === 0) return found
  const ofModels = await all
    .select('model_version.model_id')
    .where('model_version.model_id', 'is not', null)
    .execute()
  for (const { name, version, storage_location, model_id } of ofModels) {
    if (!isInside(storage_location, uriByModel.get(model_id ?? ''))) continue
    found.push({ name, version, source: `logged model ${model_id}` })
  }
  return found
}

function isInside(location: string, uri: string | undefined): boolean {
  return (
    uri !== undefined && (location === uri || location.startsWith(`${uri.replace(/\/$/, '')}/`))
  )
}
