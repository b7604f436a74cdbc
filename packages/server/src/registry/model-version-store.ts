import { invariant } from '@millrace/api/errors'
import {
  MODEL_STAGES,
  MODEL_VERSION_STATUSES,
  type ModelStage,
  type ModelVersion,
} from '@millrace/api/model-versions'
import type { Insertable } from 'kysely'
import { type Db, inPieces, insertRows } from '../db/dialect.ts'
import type { ModelVersionTable } from '../db/schema.ts'
import type { ModelVersionRow } from '../search/search-model-versions-query.ts'
import { checkModelName, noSuchVersion, parseVersion } from './registry-limits.ts'

/** A version by the name of its model and its number as clients write it, or a 404. */
export async function getModelVersion(
  db: Db,
  workspace: string,
  name: string,
  version: string,
): Promise<ModelVersionRow> {
  const row = await db
    .selectFrom('registered_model')
    .innerJoin('model_version', 'model_version.model', 'registered_model.id')
    .selectAll('model_version')
    .select('registered_model.name')
    .where('registered_model.workspace', '=', workspace)
    .where('registered_model.name', '=', name)
    .where('model_version.version', '=', parseVersion(version))
    .executeTakeFirst()
  if (row !== undefined) return row
  checkModelName(name)
  throw noSuchVersion(name, version)
}

/** The version that an alias of a model names, or undefined. */
export function findVersionByAlias(
  db: Db,
  model: number,
  alias: string,
): Promise<ModelVersionRow | undefined> {
  return db
    .selectFrom('registered_model_alias')
    .innerJoin('model_version', (join) =>
      join
        .onRef('model_version.model', '=', 'registered_model_alias.model')
        .onRef('model_version.version', '=', 'registered_model_alias.version'),
    )
    .innerJoin('registered_model', 'registered_model.id', 'model_version.model')
    .selectAll('model_version')
    .select('registered_model.name')
    .where('registered_model_alias.model', '=', model)
    .where('registered_model_alias.alias', '=', alias)
    .executeTakeFirst()
}

/** The highest version of a model, or undefined while it has none. */
export function findHighestVersion(db: Db, model: number): Promise<ModelVersionRow | undefined> {
  return db
    .selectFrom('model_version')
    .innerJoin('registered_model', 'registered_model.id', 'model_version.model')
    .selectAll('model_version')
    .select('registered_model.name')
    .where('model_version.model', '=', model)
    .orderBy('model_version.version', 'desc')
    .limit(1)
    .executeTakeFirst()
}

/**
 * The highest version of each stage of some models. As in MLflow the stages of a model come in
 * the order of the lowest version that is in them.
 */
export async function listLatestVersions(
  db: Db,
  models: readonly number[],
): Promise<ModelVersionRow[]> {
  const latest: ModelVersionRow[] = []
  for (const piece of inPieces(models)) {
    const rows = await db
      .with('latest', (db) =>
        db
          .selectFrom('model_version')
          .select((row) => [
            'model',
            'stage',
            row.fn.max('version').as('highest'),
            row.fn.min('version').as('lowest'),
          ])
          .where('model', 'in', piece)
          .groupBy(['model', 'stage']),
      )
      .selectFrom('latest')
      .innerJoin('model_version', (join) =>
        join
          .onRef('model_version.model', '=', 'latest.model')
          .onRef('model_version.version', '=', 'latest.highest'),
      )
      .innerJoin('registered_model', 'registered_model.id', 'model_version.model')
      .selectAll('model_version')
      .select('registered_model.name')
      .orderBy('latest.model')
      .orderBy('latest.lowest')
      .execute()
    latest.push(...rows)
  }
  return latest
}

/** Inserts a version under the next number of its model and returns the number. */
export async function insertModelVersion(
  db: Db,
  version: Omit<Insertable<ModelVersionTable>, 'version'>,
): Promise<number> {
  await db
    .updateTable('registered_model')
    .set((row) => ({
      last_version: row('last_version', '+', 1),
      last_updated_time: version.creation_time,
    }))
    .where('id', '=', version.model)
    .execute()
  const { last_version } = await db
    .selectFrom('registered_model')
    .select('last_version')
    .where('id', '=', version.model)
    .executeTakeFirstOrThrow()
  await db
    .insertInto('model_version')
    .values({ ...version, version: last_version })
    .execute()
  return last_version
}

type VersionKey = Pick<ModelVersionRow, 'model' | 'version'>

export async function updateModelVersion(
  db: Db,
  { model, version }: VersionKey,
  change: Partial<Pick<ModelVersionRow, 'description' | 'stage' | 'last_updated_time'>>,
): Promise<void> {
  await db
    .updateTable('model_version')
    .set(change)
    .where('model', '=', model)
    .where('version', '=', version)
    .execute()
}

/** Archives every version of a model that is in a stage. */
export async function archiveVersions(
  db: Db,
  { model, stage }: { model: number; stage: ModelStage },
  last_updated_time: number,
): Promise<void> {
  await db
    .updateTable('model_version')
    .set({ stage: 'Archived', last_updated_time })
    .where('model', '=', model)
    .where('stage', '=', stage)
    .execute()
}

/** Deletes a version with its tags and the aliases that name it. */
export async function deleteModelVersion(db: Db, { model, version }: VersionKey): Promise<void> {
  for (const table of ['registered_model_alias', 'model_version_tag', 'model_version'] as const) {
    await db.deleteFrom(table).where('model', '=', model).where('version', '=', version).execute()
  }
}

const replaceTags = insertRows('model_version_tag', {
  columns: ['model', 'version', 'key', 'value'],
  key: ['model', 'version', 'key'],
  whenThere: 'replace',
})

export async function upsertVersionTag(
  db: Db,
  { model, version }: VersionKey,
  { key, value }: { key: string; value: string },
): Promise<void> {
  await replaceTags(db, [{ model, version, key, value }])
}

export async function deleteVersionTag(
  db: Db,
  { model, version }: VersionKey,
  key: string,
): Promise<void> {
  await db
    .deleteFrom('model_version_tag')
    .where('model', '=', model)
    .where('version', '=', version)
    .where('key', '=', key)
    .execute()
}

/**
 * Versions in the order given, with their tags and aliases, as they travel. MLflow leaves the
 * aliases out of lists and `model_id` out everywhere; both are what people look for there.
 */
export async function toWireVersions(
  db: Db,
  rows: readonly ModelVersionRow[],
): Promise<ModelVersion[]> {
  const tags = new Map<string, { key: string; value: string }[]>()
  const aliases = new Map<string, string[]>()
  for (const chunk of inPieces(rows)) {
    const models = [...new Set(chunk.map(({ model }) => model))]
    const versions = [...new Set(chunk.map(({ version }) => version))]
    const foundTags = await db
      .selectFrom('model_version_tag')
      .selectAll()
      .where('model', 'in', models)
      .where('version', 'in', versions)
      .orderBy('key')
      .execute()
    for (const { key, value, ...version } of foundTags) append(tags, version, { key, value })
    const foundAliases = await db
      .selectFrom('registered_model_alias')
      .selectAll()
      .where('model', 'in', models)
      .where('version', 'in', versions)
      .orderBy('alias')
      .execute()
    for (const { alias, ...version } of foundAliases) append(aliases, version, alias)
  }
  return rows.map((row) => toWire(row, tags.get(textOf(row)), aliases.get(textOf(row))))
}

/** One version with its tags and aliases, as it travels. */
export async function toWireVersion(db: Db, row: ModelVersionRow): Promise<ModelVersion> {
  const [version] = await toWireVersions(db, [row])
  invariant(version, 'one row makes one version')
  return version
}

function append<Item>(lists: Map<string, Item[]>, version: VersionKey, item: Item): void {
  const list = lists.get(textOf(version))
  if (list) list.push(item)
  else lists.set(textOf(version), [item])
}

function textOf({ model, version }: VersionKey): string {
  return `${model} ${version}`
}

function toWire(
  row: ModelVersionRow,
  tags: ModelVersion['tags'],
  aliases: ModelVersion['aliases'],
): ModelVersion {
  const stage = MODEL_STAGES.find((each) => each === row.stage)
  const status = MODEL_VERSION_STATUSES.find((each) => each === row.status)
  invariant(stage, `version ${row.version} of '${row.name}' is in stage '${row.stage}'`)
  invariant(status, `version ${row.version} of '${row.name}' has status '${row.status}'`)
  return {
    name: row.name,
    version: String(row.version),
    creation_timestamp: row.creation_time,
    last_updated_timestamp: row.last_updated_time,
    ...(row.user_id !== null && { user_id: row.user_id }),
    current_stage: stage,
    ...(row.description !== null && { description: row.description }),
    source: row.source,
    run_id: row.run_id,
    status,
    ...(row.status_message !== null && { status_message: row.status_message }),
    ...(tags !== undefined && { tags }),
    run_link: row.run_link,
    ...(aliases !== undefined && { aliases }),
    ...(row.model_id !== null && { model_id: row.model_id }),
  }
}
