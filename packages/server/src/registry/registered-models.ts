import type { Api } from '@millrace/api/api'
import { type ApiError, alreadyExists, invalid, notFound } from '@millrace/api/errors'
import { REGISTERED_MODELS_PAGE_MAX } from '@millrace/api/registered-models'
import { visibleModels } from '../auth/visibility.ts'
import type { Db } from '../db/dialect.ts'
import type { Handlers, RequestContext } from '../handlers.ts'
import { IS_PROMPT_TAG } from '../search/prompt-scope.ts'
import { searchRegisteredModelsQuery } from '../search/search-registered-models-query.ts'
import { pythonText } from '../tracking/limits.ts'
import {
  findHighestVersion,
  findVersionByAlias,
  getModelVersion,
  listLatestVersions,
  toWireVersion,
  toWireVersions,
} from './model-version-store.ts'
import {
  deleteAlias,
  deleteModelTag,
  deleteRegisteredModel,
  findRegisteredModel,
  getRegisteredModel,
  insertRegisteredModel,
  touchVersions,
  toWireModel,
  toWireModels,
  updateRegisteredModel,
  upsertAlias,
  upsertModelTag,
} from './registered-model-store.ts'
import {
  checkAlias,
  checkAliasIsFree,
  checkModelName,
  checkModelTag,
  checkTagKey,
  isLatest,
  parseStage,
} from './registry-limits.ts'

const PAGE_DEFAULT = 100

export const registeredModels: Handlers<Api['registeredModels']> = {
  async create({ db, caller: { workspace } }, { name, tags = [], description }) {
    checkModelName(name)
    for (const { key, value = '' } of tags) checkModelTag(key, value)
    const valueByKey = new Map(tags.map(({ key, value = '' }) => [key, value]))
    const is_prompt = promptFlag(valueByKey.get(IS_PROMPT_TAG))
    const existing = await findRegisteredModel(db, workspace, name)
    if (existing) throw nameIsTaken(name, existing.is_prompt, is_prompt)

    const creation_time = Date.now()
    const id = await insertRegisteredModel(db, {
      workspace,
      name,
      description: description ?? null,
      creation_time,
      is_prompt,
    })
    for (const [key, value] of valueByKey) await upsertModelTag(db, id, { key, value })
    return { registered_model: await wireModel(db, workspace, name) }
  },

  async rename({ db, caller: { workspace } }, { name, new_name }) {
    checkModelName(new_name, 'new_name')
    const model = await getRegisteredModel(db, workspace, name)
    const last_updated_time = Date.now()
    await updateRegisteredModel(db, model.id, { name: new_name, last_updated_time })
    await touchVersions(db, model.id, last_updated_time)
    return { registered_model: await wireModel(db, workspace, new_name) }
  },

  async update({ db, caller: { workspace } }, { name, description }) {
    const model = await getRegisteredModel(db, workspace, name)
    await updateRegisteredModel(db, model.id, {
      description: description ?? null,
      last_updated_time: Date.now(),
    })
    return { registered_model: await wireModel(db, workspace, name) }
  },

  async delete({ db, caller: { workspace } }, { name }) {
    const { id } = await getRegisteredModel(db, workspace, name)
    await deleteRegisteredModel(db, id)
    return {}
  },

  async get({ db, caller: { workspace } }, { name }) {
    return { registered_model: await wireModel(db, workspace, name) }
  },

  search(context, input) {
    return searchPage(context, input)
  },

  list(context, { max_results, page_token }) {
    return searchPage(context, { max_results, page_token })
  },

  async getLatestVersions({ db, caller: { workspace } }, { name, stages = [] }) {
    const { id } = await getRegisteredModel(db, workspace, name)
    const wanted = stages.map(parseStage)
    const latest = await listLatestVersions(db, [id])
    const rows =
      wanted.length === 0
        ? latest
        : latest.filter(({ stage }) => wanted.some((each) => each === stage))
    return rows.length === 0 ? {} : { model_versions: await toWireVersions(db, rows) }
  },

  async setTag({ db, caller: { workspace } }, { name, key, value = '' }) {
    checkModelTag(key, value)
    const { id } = await getRegisteredModel(db, workspace, name)
    await upsertModelTag(db, id, { key, value })
    if (key === IS_PROMPT_TAG) await updateRegisteredModel(db, id, { is_prompt: promptFlag(value) })
    return {}
  },

  async deleteTag({ db, caller: { workspace } }, { name, key }) {
    checkTagKey(key)
    const { id } = await getRegisteredModel(db, workspace, name)
    await deleteModelTag(db, id, key)
    if (key === IS_PROMPT_TAG) await updateRegisteredModel(db, id, { is_prompt: 0 })
    return {}
  },

  async setAlias({ db, caller: { workspace } }, { name, alias, version }) {
    checkAlias(alias)
    checkAliasIsFree(alias)
    await upsertAlias(db, await getModelVersion(db, workspace, name, version), alias)
    return {}
  },

  async deleteAlias({ db, caller: { workspace } }, { name, alias }) {
    checkAlias(alias)
    const { id } = await getRegisteredModel(db, workspace, name)
    await deleteAlias(db, id, alias)
    return {}
  },

  async getVersionByAlias({ db, caller: { workspace } }, { name, alias }) {
    checkAlias(alias)
    const { id } = await getRegisteredModel(db, workspace, name)
    const row = await (isLatest(alias)
      ? findHighestVersion(db, id)
      : findVersionByAlias(db, id, alias))
    if (row !== undefined) return { model_version: await toWireVersion(db, row) }
    throw isLatest(alias)
      ? notFound(`Latest version not found for model ${name}.`)
      : invalid(`Registered model alias ${alias} not found.`)
  },
}

interface SearchInput {
  filter?: string | undefined
  max_results?: number | bigint | undefined
  order_by?: string[] | undefined
  page_token?: string | undefined
}

async function searchPage({ db, caller }: RequestContext, input: SearchInput) {
  const maxResults = Number(input.max_results ?? PAGE_DEFAULT)
  if (maxResults > REGISTERED_MODELS_PAGE_MAX) {
    throw invalid(
      `Invalid value for request parameter max_results. It must be at most ${REGISTERED_MODELS_PAGE_MAX}, but got value ${maxResults}`,
    )
  }
  if (maxResults < 1) {
    throw invalid(
      `Invalid value for max_results. It must be a positive integer, but got ${maxResults}`,
    )
  }
  const { rows, nextPageToken } = await searchRegisteredModelsQuery(db, {
    visibility: visibleModels(caller),
    workspace: caller.workspace,
    filter: input.filter,
    orderBy: input.order_by,
    maxResults,
    pageToken: input.page_token,
  })
  const registered_models = await toWireModels(db, rows)
  return {
    ...(registered_models.length > 0 && { registered_models }),
    ...(nextPageToken !== undefined && { next_page_token: nextPageToken }),
  }
}

async function wireModel(db: Db, workspace: string, name: string) {
  return toWireModel(db, await getRegisteredModel(db, workspace, name))
}

/** Searches leave out what carries this very text (3.17 `_update_query_to_exclude_prompts`). */
function promptFlag(value: string | undefined): 0 | 1 {
  return value === 'true' ? 1 : 0
}

/** Names are shared by models and prompts (3.17 `handle_resource_already_exist_error`). */
function nameIsTaken(name: string, isPrompt: number, wantsPrompt: number): ApiError {
  const kinds = ['Registered Model', 'Prompt']
  const taken = String(kinds[isPrompt])
  const wanted = String(kinds[wantsPrompt])
  if (taken === wanted) return alreadyExists(`${wanted} (name=${name}) already exists.`)
  return alreadyExists(
    `Tried to create a ${wanted.toLowerCase()} with name ${pythonText(name)}, but the name is ` +
      `already taken by a ${taken.toLowerCase()}. MLflow does not allow creating a model and a ` +
      'prompt with the same name.',
  )
}
