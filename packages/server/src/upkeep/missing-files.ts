import { formatArtifactPath } from '@millrace/artifacts/artifact-path'
import { type Db, inPieces } from '../db/dialect.ts'
import { STAGE_ACTIVE } from '../db/schema.ts'
import { findRun } from '../tracking/run-store.ts'
import { type ArtifactAccess, reachTree } from './artifact-access.ts'
import { directoriesIn } from './orphan-trees.ts'

/** Marks a run with models among its artifacts. */
const MODEL_HISTORY_TAG = 'mlflow.log-model.history'
const STATUS_READY = 2
const PAGE = 5000

export interface MissingFiles {
  /** Runs without a directory of artifacts. */
  runs: number
  /** What should have files and has none, a line each. */
  lines: string[]
}

/** Looks for runs, logged models and model versions whose files are not where they should be. */
export async function findMissingFiles(db: Db, access: ArtifactAccess): Promise<MissingFiles> {
  const has = directoryLookup(access)
  const missing: MissingFiles = { runs: 0, lines: [] }
  for await (const { uuid, artifact_uri, hasModel } of pagesOfRuns(db)) {
    if ((await has(artifact_uri)) !== false) continue
    missing.runs++
    if (hasModel)
      missing.lines.push(`Run ${uuid} logged a model, and has no files: ${artifact_uri}`)
  }
  const models = await db
    .selectFrom('logged_model')
    .select(['model_id', 'artifact_location'])
    .where('status', '=', STATUS_READY)
    .where('stage', '=', STAGE_ACTIVE)
    .execute()
  for (const { model_id, artifact_location } of models) {
    if ((await has(artifact_location)) !== false) continue
    missing.lines.push(`Logged model ${model_id} has no files: ${artifact_location}`)
  }
  const versions = await db
    .selectFrom('model_version')
    .innerJoin('registered_model', 'registered_model.id', 'model_version.model')
    .select(['name', 'version', 'storage_location'])
    .where('is_prompt', '=', 0)
    .execute()
  for (const { name, version, storage_location } of versions) {
    const uri = await locationOf(db, storage_location)
    if (uri !== undefined && (await has(uri)) !== false) continue
    missing.lines.push(`Version ${version} of model '${name}' has no files: ${storage_location}`)
  }
  return missing
}

/** What `runs:/<id>/<path>` stands for; undefined when there is no such run. */
async function locationOf(db: Db, location: string): Promise<string | undefined> {
  const [, run_id, path] = /^runs:\/([^/]+)\/(.+)$/.exec(location) ?? []
  if (run_id === undefined) return location
  const run = await findRun(db, run_id)
  return run && `${run.artifact_uri}/${path}`
}

async function* pagesOfRuns(db: Db) {
  let after = -1
  for (;;) {
    const runs = await db
      .selectFrom('run')
      .select(['id', 'uuid', 'artifact_uri'])
      .where('id', '>', after)
      .orderBy('id')
      .limit(PAGE)
      .execute()
    const withModel = await listRunsWithModel(
      db,
      runs.map(({ id }) => id),
    )
    for (const run of runs) yield { ...run, hasModel: withModel.has(run.id) }
    after = runs.at(-1)?.id ?? after
    if (runs.length < PAGE) return
  }
}

async function listRunsWithModel(db: Db, runs: readonly number[]): Promise<Set<number>> {
  const found = new Set<number>()
  for (const piece of inPieces(runs)) {
    const rows = await db
      .selectFrom('tag')
      .innerJoin('key_name', 'key_name.id', 'tag.key')
      .select('run')
      .where('name', '=', MODEL_HISTORY_TAG)
      .where('run', 'in', piece)
      .execute()
    for (const { run } of rows) found.add(run)
  }
  return found
}

/**
 * Whether there is something at a location, undefined where this program cannot look. Locations end
 * in `<id>/artifacts`, and one listing of what is above tells of thousands of them.
 */
function directoryLookup(access: ArtifactAccess) {
  const namesByParent = new Map<string, Set<string>>()
  return async (uri: string): Promise<boolean | undefined> => {
    if (uri === '') return undefined
    const tree = reachTree(uri, access)
    if ('unreachable' in tree) return undefined
    const { store, base } = tree
    if (base.at(-1) !== 'artifacts' || base.length < 3) return (await store.list(base)).length > 0
    const parentUri = uri.split('/').slice(0, -2).join('/')
    const parent = reachTree(parentUri, access)
    if ('unreachable' in parent || parent.base.length !== base.length - 2) {
      return (await store.list(base)).length > 0
    }
    const key = `${parentUri} ${formatArtifactPath(parent.base)}`
    let names = namesByParent.get(key)
    if (names === undefined) {
      names = new Set(await directoriesIn(parent.store, parent.base))
      namesByParent.set(key, names)
    }
    return names.has(base.at(-2) ?? '')
  }
}
