import type { Api } from '@millrace/api/api'
import { invalid } from '@millrace/api/errors'
import { MODEL_VERSIONS_PAGE_MAX } from '@millrace/api/model-versions'
import { visibleModels } from '../auth/visibility.ts'
import type { Db } from '../db/dialect.ts'
import type { Handlers } from '../handlers.ts'
import { IS_PROMPT_TAG } from '../search/prompt-scope.ts'
import { searchModelVersionsQuery } from '../search/search-model-versions-query.ts'
import { appendModelVersion } from '../tracking/logged-model-store.ts'
import {
  archiveVersions,
  deleteModelVersion,
  deleteVersionTag,
  getModelVersion,
  insertModelVersion,
  toWireVersion,
  toWireVersions,
  updateModelVersion,
  upsertVersionTag,
} from './model-version-store.ts'
import { getRegisteredModel, updateRegisteredModel } from './registered-model-store.ts'
import { checkTagKey, checkVersionTag, parseStage } from './registry-limits.ts'
import { checkSourcePattern, resolvePromptSource, resolveSource } from './version-source.ts'

export const modelVersions: Handlers<Api['modelVersions']> = {
  async create({ db, caller, settings }, input) {
    const { name, tags = [], run_link = '', description = '' } = input
    for (const { key, value = '' } of tags) checkVersionTag(key, value)
    const valueByKey = new Map(tags.map(({ key, value = '' }) => [key, value]))
    const isPrompt = valueByKey.get(IS_PROMPT_TAG)?.toLowerCase() === 'true'
    checkSourcePattern(input.source, settings)
    const { model: loggedModel, ...origin } = isPrompt
      ? resolvePromptSource({ settings }, input)
      : await resolveSource({ db, caller, settings }, input)

    const model = await getRegisteredModel(db, caller.workspace, name)
    const creation_time = Date.now()
    const version = await insertModelVersion(db, {
      model: model.id,
      description,
      creation_time,
      last_updated_time: creation_time,
      stage: 'None',
      ...origin,
      run_link,
      user_id: null,
      status: 'READY',
      status_message: null,
    })
    for (const [key, value] of valueByKey) {
      await upsertVersionTag(db, { model: model.id, version }, { key, value })
    }
    if (loggedModel) await appendModelVersion(db, loggedModel, { name, version })
    return { model_version: await wireVersion(db, caller.workspace, name, String(version)) }
  },

  async update({ db, caller: { workspace } }, { name, version, description }) {
    const row = await getModelVersion(db, workspace, name, version)
    const change = { description: description ?? null, last_updated_time: Date.now() }
    await updateModelVersion(db, row, change)
    return { model_version: await toWireVersion(db, { ...row, ...change }) }
  },

  async transitionStage({ db, caller: { workspace } }, input) {
    const { name, version, archive_existing_versions = false } = input
    const stage = parseStage(input.stage)
    if (archive_existing_versions && stage !== 'Staging' && stage !== 'Production') {
      throw invalid(
        `Model version transition cannot archive existing model versions because '${input.stage}' is not an Active stage. Valid stages are ['Staging', 'Production']`,
      )
    }
    const row = await getModelVersion(db, workspace, name, version)
    const last_updated_time = Date.now()
    if (archive_existing_versions) {
      await archiveVersions(db, { model: row.model, stage }, last_updated_time)
    }
    await updateModelVersion(db, row, { stage, last_updated_time })
    await updateRegisteredModel(db, row.model, { last_updated_time })
    return { model_version: await toWireVersion(db, { ...row, stage, last_updated_time }) }
  },

  async delete({ db, caller: { workspace } }, { name, version }) {
    const row = await getModelVersion(db, workspace, name, version)
    await deleteModelVersion(db, row)
    await updateRegisteredModel(db, row.model, { last_updated_time: Date.now() })
    return {}
  },

  async get({ db, caller: { workspace } }, { name, version }) {
    return { model_version: await wireVersion(db, workspace, name, version) }
  },

  async search({ db, caller }, { filter, max_results, order_by, page_token }) {
    const maxResults = Number(max_results ?? MODEL_VERSIONS_PAGE_MAX)
    if (maxResults < 1) {
      throw invalid(
        `Invalid value for max_results. It must be a positive integer, but got ${maxResults}`,
      )
    }
    if (maxResults > MODEL_VERSIONS_PAGE_MAX) {
      throw invalid(
        `Invalid value for request parameter max_results. It must be at most ${MODEL_VERSIONS_PAGE_MAX}, but got value ${maxResults}`,
      )
    }
    const { rows, nextPageToken } = await searchModelVersionsQuery(db, {
      visibility: visibleModels(caller),
      workspace: caller.workspace,
      filter,
      orderBy: order_by,
      maxResults,
      pageToken: page_token,
    })
    const model_versions = await toWireVersions(db, rows)
    return {
      ...(model_versions.length > 0 && { model_versions }),
      ...(nextPageToken !== undefined && { next_page_token: nextPageToken }),
    }
  },

  async getDownloadUri({ db, caller: { workspace } }, { name, version }) {
    const { storage_location } = await getModelVersion(db, workspace, name, version)
    return { artifact_uri: storage_location }
  },

  async setTag({ db, caller: { workspace } }, { name, version, key, value = '' }) {
    checkVersionTag(key, value)
    const row = await getModelVersion(db, workspace, name, version)
    await upsertVersionTag(db, row, { key, value })
    return {}
  },

  async deleteTag({ db, caller: { workspace } }, { name, version, key }) {
    checkTagKey(key)
    await deleteVersionTag(db, await getModelVersion(db, workspace, name, version), key)
    return {}
  },
}

async function wireVersion(db: Db, workspace: string, name: string, version: string) {
  return toWireVersion(db, await getModelVersion(db, workspace, name, version))
}
