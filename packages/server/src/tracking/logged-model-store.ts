import { ApiError, invalid, invariant, notFound } from '@millrace/api/errors'
import { LOGGED_MODEL_STATUSES, type LoggedModel } from '@millrace/api/logged-models'
import type { MetricOut } from '@millrace/api/runs'
import type { Selectable } from 'kysely'
import { type Db, inPieces, insertReturningId, insertRows } from '../db/dialect.ts'
import { type LoggedModelMetricTable, type LoggedModelTable, STAGE_ACTIVE } from '../db/schema.ts'

export type LoggedModelRow = Selectable<LoggedModelTable>

/** Lists the versions that were registered of a logged model. */
const MODEL_VERSIONS_TAG = 'mlflow.modelVersions'

/** The logged model of that id, or a 404; one in the bin only for those who say so. */
export async function getLoggedModel(
  db: Db,
  model_id: string,
  { allowDeleted = false } = {},
): Promise<LoggedModelRow> {
  const row = await findLoggedModel(db, model_id, { allowDeleted })
  if (row === undefined) throw notFound(`Logged model with ID '${model_id}' not found.`)
  return row
}

/** The logged model of that id, or undefined; one in the bin only for those who say so. */
export async function findLoggedModel(
  db: Db,
  model_id: string,
  { allowDeleted = false } = {},
): Promise<LoggedModelRow | undefined> {
  const row = await db
    .selectFrom('logged_model')
    .selectAll()
    .where('model_id', '=', model_id)
    .executeTakeFirst()
  return row !== undefined && (allowDeleted || row.stage === STAGE_ACTIVE) ? row : undefined
}

const insert = insertReturningId('logged_model', [
  'model_id',
  'experiment',
  'name',
  'artifact_location',
  'creation_time',
  'last_updated_time',
  'status',
  'status_message',
  'model_type',
  'source_run_id',
  'stage',
])

export async function insertLoggedModel(
  db: Db,
  model: Omit<LoggedModelRow, 'id'>,
): Promise<LoggedModelRow> {
  return { ...model, id: await insert(db, model) }
}

/** Changes a model and says that it changed. */
export async function updateLoggedModel(
  db: Db,
  row: LoggedModelRow,
  change: Partial<Pick<LoggedModelRow, 'status' | 'stage'>>,
): Promise<LoggedModelRow> {
  const changed = { ...change, last_updated_time: Date.now() }
  await db.updateTable('logged_model').set(changed).where('id', '=', row.id).execute()
  return { ...row, ...changed }
}

const replaceTags = insertRows('logged_model_tag', {
  columns: ['model', 'key', 'experiment', 'value'],
  key: ['model', 'key'],
  whenThere: 'replace',
})

/** Sets tags; of a key that comes twice the later value stays. */
export async function upsertLoggedModelTags(
  db: Db,
  { id: model, experiment }: LoggedModelRow,
  tags: readonly { key: string; value: string }[],
): Promise<void> {
  const byKey = new Map(tags.map(({ key, value }) => [key, value]))
  await replaceTags(
    db,
    [...byKey].map(([key, value]) => ({ model, key, experiment, value })),
  )
}

/** Deletes a tag and says whether there was one. */
export async function deleteLoggedModelTag(db: Db, model: number, key: string): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('logged_model_tag')
    .where('model', '=', model)
    .where('key', '=', key)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

const insertParams = insertRows('logged_model_param', {
  columns: ['model', 'key', 'experiment', 'value'],
  key: ['model', 'key'],
  whenThere: 'keep',
})

/**
 * Inserts params, which are written once: the same value again is fine, as when a request is sent
 * twice, another value is refused.
 */
export async function insertLoggedModelParams(
  db: Db,
  { id: model, model_id, experiment }: LoggedModelRow,
  params: readonly { key: string; value: string }[],
): Promise<void> {
  if (params.length === 0) return
  const byKey = new Map(params.toReversed().map(({ key, value }) => [key, value]))
  await insertParams(
    db,
    [...byKey].map(([key, value]) => ({ model, key, experiment, value })),
  )
  const rows = await db
    .selectFrom('logged_model_param')
    .select(['key', 'value'])
    .where('model', '=', model)
    .execute()
  const stored = new Map(rows.map((row) => [row.key, row.value]))
  for (const { key, value } of params) {
    if (stored.get(key) === value) continue
    throw new ApiError(
      'BAD_REQUEST',
      `Param '${key}' of logged model '${model_id}' already has the value '${stored.get(key)}'; it cannot be changed to '${value}'.`,
    )
  }
}

/** Notes in the tag that pages and clients read that a version was registered of the model. */
export async function appendModelVersion(
  db: Db,
  model: LoggedModelRow,
  version: { name: string; version: number },
): Promise<void> {
  const tag = await db
    .selectFrom('logged_model_tag')
    .select('value')
    .where('model', '=', model.id)
    .where('key', '=', MODEL_VERSIONS_TAG)
    .executeTakeFirst()
  const versions = parseList(tag?.value ?? '[]')
  if (versions === undefined) {
    throw invalid(
      `Tag '${MODEL_VERSIONS_TAG}' of logged model '${model.model_id}' is not a JSON list.`,
    )
  }
  const text = JSON.stringify(version)
  if (versions.some((each) => JSON.stringify(each) === text)) return
  const value = spacedJson([...versions, version])
  await upsertLoggedModelTags(db, model, [{ key: MODEL_VERSIONS_TAG, value }])
}

/** JSON with the spaces of Python's `json.dumps`, for text that clients compare as it stands. */
function spacedJson(value: unknown): string {
  return JSON.stringify(value, null, 1).replace(/(,?)\n */g, (_, comma) => (comma ? ', ' : ''))
}

function parseList(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** Models in the order given, with their tags, params and metrics, as they travel. */
export async function toWireLoggedModels(
  db: Db,
  rows: readonly LoggedModelRow[],
): Promise<LoggedModel[]> {
  const models: LoggedModel[] = []
  for (const chunk of inPieces(rows)) {
    const ids = chunk.map(({ id }) => id)
    const [tags, params, metrics] = [
      await selectEntries(db, 'logged_model_tag', ids),
      await selectEntries(db, 'logged_model_param', ids),
      await selectMetrics(db, ids),
    ]
    for (const row of chunk) {
      models.push(toWire(row, tags.get(row.id), params.get(row.id), metrics.get(row.id)))
    }
  }
  return models
}

/** One model with its tags, params and metrics, as it travels. */
export async function toWireLoggedModel(db: Db, row: LoggedModelRow): Promise<LoggedModel> {
  const [model] = await toWireLoggedModels(db, [row])
  invariant(model, 'one row makes one model')
  return model
}

async function selectEntries(
  db: Db,
  table: 'logged_model_tag' | 'logged_model_param',
  models: number[],
) {
  const rows = await db
    .selectFrom(table)
    .select(['model', 'key', 'value'])
    .where('model', 'in', models)
    .orderBy('model')
    .orderBy('key')
    .execute()
  return Map.groupBy(rows, ({ model }) => model)
}

async function selectMetrics(db: Db, models: number[]) {
  const rows = await db
    .selectFrom('logged_model_metric')
    .selectAll()
    .where('model', 'in', models)
    .orderBy('model')
    .orderBy('key')
    .orderBy('ts')
    .orderBy('step')
    .orderBy('run_id')
    .execute()
  return Map.groupBy(rows, ({ model }) => model)
}

type Entry = { key: string; value: string }

function toWire(
  row: LoggedModelRow,
  tags: Entry[] | undefined,
  params: Entry[] | undefined,
  metrics: Selectable<LoggedModelMetricTable>[] | undefined,
): LoggedModel {
  const status = LOGGED_MODEL_STATUSES[row.status]
  invariant(status, `logged model ${row.model_id} has status ${row.status}`)
  return {
    info: {
      model_id: row.model_id,
      experiment_id: String(row.experiment),
      name: row.name,
      creation_timestamp_ms: row.creation_time,
      last_updated_timestamp_ms: row.last_updated_time,
      artifact_uri: row.artifact_location,
      status,
      model_type: row.model_type,
      source_run_id: row.source_run_id,
      ...(row.status_message !== null && { status_message: row.status_message }),
      ...(tags && { tags: tags.map(({ key, value }) => ({ key, value })) }),
    },
    data: {
      ...(params && { params: params.map(({ key, value }) => ({ key, value })) }),
      ...(metrics && { metrics: metrics.map((point) => toWirePoint(point, row.model_id)) }),
    },
  }
}

function toWirePoint(point: Selectable<LoggedModelMetricTable>, model_id: string): MetricOut {
  const { key, value, is_nan, ts, step, run_id, dataset_name, dataset_digest } = point
  return {
    key,
    value: is_nan ? 'NaN' : value,
    timestamp: ts,
    step,
    model_id,
    ...(dataset_name && { dataset_name }),
    ...(dataset_digest && { dataset_digest }),
    run_id,
  }
}
