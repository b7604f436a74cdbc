import { alreadyExists, invariant } from '@millrace/api/errors'
import type { RegisteredModel } from '@millrace/api/registered-models'
import type { Selectable } from 'kysely'
import {
  type Db,
  inPieces,
  insertReturningId,
  insertRows,
  isUniqueViolation,
} from '../db/dialect.ts'
import type { RegisteredModelTable } from '../db/schema.ts'
import { listLatestVersions, toWireVersions } from './model-version-store.ts'
import { checkModelName, noSuchModel } from './registry-limits.ts'

export type RegisteredModelRow = Selectable<RegisteredModelTable>

export function findRegisteredModel(db: Db, workspace: string, name: string) {
  return db
    .selectFrom('registered_model')
    .selectAll()
    .where('workspace', '=', workspace)
    .where('name', '=', name)
    .executeTakeFirst()
}

/**
 * The registered model of that name, or a 404. A model that older software let have a forbidden
 * name is found like any other; such a name is refused only where there is nothing to find.
 */
export async function getRegisteredModel(
  db: Db,
  workspace: string,
  name: string,
): Promise<RegisteredModelRow> {
  const row = await findRegisteredModel(db, workspace, name)
  if (row !== undefined) return row
  checkModelName(name)
  throw noSuchModel(name)
}

const insertModel = insertReturningId('registered_model', [
  'workspace',
  'name',
  'description',
  'creation_time',
  'last_updated_time',
  'last_version',
  'is_prompt',
])

/** Inserts a model without versions and returns its id. */
export async function insertRegisteredModel(
  db: Db,
  model: Pick<
    RegisteredModelRow,
    'workspace' | 'name' | 'description' | 'creation_time' | 'is_prompt'
  >,
): Promise<number> {
  try {
    const row = { ...model, last_updated_time: model.creation_time, last_version: 0 }
    return await insertModel(db, row)
  } catch (error) {
    throw isUniqueViolation(error) ? nameIsTaken(model.name) : error
  }
}

export async function updateRegisteredModel(
  db: Db,
  id: number,
  change: Partial<
    Pick<RegisteredModelRow, 'name' | 'description' | 'is_prompt' | 'last_updated_time'>
  >,
): Promise<void> {
  try {
    await db.updateTable('registered_model').set(change).where('id', '=', id).execute()
  } catch (error) {
    throw isUniqueViolation(error) ? nameIsTaken(change.name ?? '') : error
  }
}

function nameIsTaken(name: string) {
  return alreadyExists(`Registered Model (name=${name}) already exists.`)
}

/** Deletes a model with its versions, tags and aliases. */
export async function deleteRegisteredModel(db: Db, id: number): Promise<void> {
  await db.deleteFrom('registered_model').where('id', '=', id).execute()
}

/** Says of all versions of a model that they changed, as renaming does. */
export async function touchVersions(
  db: Db,
  model: number,
  last_updated_time: number,
): Promise<void> {
  await db
    .updateTable('model_version')
    .set({ last_updated_time })
    .where('model', '=', model)
    .execute()
}

const replaceTags = insertRows('registered_model_tag', {
  columns: ['model', 'key', 'value'],
  key: ['model', 'key'],
  whenThere: 'replace',
})

export async function upsertModelTag(
  db: Db,
  model: number,
  { key, value }: { key: string; value: string },
): Promise<void> {
  await replaceTags(db, [{ model, key, value }])
}

export async function deleteModelTag(db: Db, model: number, key: string): Promise<void> {
  await db
    .deleteFrom('registered_model_tag')
    .where('model', '=', model)
    .where('key', '=', key)
    .execute()
}

const replaceAliases = insertRows('registered_model_alias', {
  columns: ['model', 'alias', 'version'],
  key: ['model', 'alias'],
  whenThere: 'replace',
})

/** Lets an alias of a model name a version; it names one at most. */
export async function upsertAlias(
  db: Db,
  { model, version }: { model: number; version: number },
  alias: string,
): Promise<void> {
  await replaceAliases(db, [{ model, alias, version }])
}

export async function deleteAlias(db: Db, model: number, alias: string): Promise<void> {
  await db
    .deleteFrom('registered_model_alias')
    .where('model', '=', model)
    .where('alias', '=', alias)
    .execute()
}

/** Models in the order given, with latest versions, tags and aliases, as they travel. */
export async function toWireModels(
  db: Db,
  rows: readonly RegisteredModelRow[],
): Promise<RegisteredModel[]> {
  const ids = rows.map(({ id }) => id)
  const latest = await listLatestVersions(db, ids)
  const versions = await toWireVersions(db, latest)
  const versionsByModel = Map.groupBy(versions, (_, index) => latest[index]?.model)
  const tags: { model: number; key: string; value: string }[] = []
  const aliases: { model: number; alias: string; version: number }[] = []
  for (const chunk of inPieces(ids)) {
    const ofModels = db.selectFrom('registered_model_tag').where('model', 'in', chunk)
    tags.push(...(await ofModels.selectAll().orderBy('key').execute()))
    const aliasesOfModels = db.selectFrom('registered_model_alias').where('model', 'in', chunk)
    aliases.push(...(await aliasesOfModels.selectAll().orderBy('alias').execute()))
  }
  const tagsByModel = Map.groupBy(tags, ({ model }) => model)
  const aliasesByModel = Map.groupBy(aliases, ({ model }) => model)
  return rows.map((row) => {
    const ofModel = tagsByModel.get(row.id)
    const aliasesOfModel = aliasesByModel.get(row.id)
    const latest_versions = versionsByModel.get(row.id)
    return {
      name: row.name,
      creation_timestamp: row.creation_time,
      last_updated_timestamp: row.last_updated_time,
      ...(row.description && { description: row.description }),
      ...(latest_versions && { latest_versions }),
      ...(ofModel && { tags: ofModel.map(({ key, value }) => ({ key, value })) }),
      ...(aliasesOfModel && {
        aliases: aliasesOfModel.map(({ alias, version }) => ({ alias, version: String(version) })),
      }),
    }
  })
}

/** One model with latest versions, tags and aliases, as it travels. */
export async function toWireModel(db: Db, row: RegisteredModelRow): Promise<RegisteredModel> {
  const [model] = await toWireModels(db, [row])
  invariant(model, 'one row makes one model')
  return model
}
