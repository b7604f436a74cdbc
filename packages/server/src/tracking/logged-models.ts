import type { Api } from '@millrace/api/api'
import { invalid, notFound } from '@millrace/api/errors'
import { LOGGED_MODEL_STATUSES, LOGGED_MODELS_PAGE_MAX } from '@millrace/api/logged-models'
import { listDirectory } from '../artifacts/list-directory.ts'
import { visibleExperiments } from '../auth/visibility.ts'
import { orderedId } from '../db/ordered-id.ts'
import { STAGE_ACTIVE, STAGE_DELETED } from '../db/schema.ts'
import type { Handlers } from '../handlers.ts'
import { searchLoggedModelsQuery } from '../search/search-logged-models-query.ts'
import { getActiveExperiment, parseExperimentId } from './experiment-store.ts'
import { checkCount, checkLength, pythonText } from './limits.ts'
import {
  deleteLoggedModelTag,
  getLoggedModel,
  insertLoggedModel,
  insertLoggedModelParams,
  toWireLoggedModel,
  toWireLoggedModels,
  updateLoggedModel,
  upsertLoggedModelTags,
} from './logged-model-store.ts'
import { randomRunName } from './random-run-name.ts'

const PAGE_DEFAULT = 50
const NAME_LENGTH_MAX = 500
const KEY_LENGTH_MAX = 255
const VALUE_LENGTH_MAX = 100_000

const STATUS_PENDING = LOGGED_MODEL_STATUSES.indexOf('LOGGED_MODEL_PENDING')

/** What has been put in the bin may still be finished, tagged and deleted, as in MLflow. */
const EVEN_DELETED = { allowDeleted: true }

export const loggedModels: Handlers<Api['loggedModels']> = {
  async create({ db }, input) {
    const { name = '', model_type = '', source_run_id = '' } = input
    checkName(name)
    checkLength('model_type', NAME_LENGTH_MAX, model_type)
    checkLength('source_run_id', NAME_LENGTH_MAX, source_run_id)
    const params = checkEntries('params', input.params)
    const tags = checkEntries('tags', input.tags)
    const experiment = await getActiveExperiment(db, input.experiment_id)
    const model_id = `m-${orderedId()}`
    const creation_time = Date.now()
    const model = await insertLoggedModel(db, {
      model_id,
      experiment: experiment.id,
      name: name || randomRunName(),
      artifact_location: `${experiment.artifact_location.replace(/\/$/, '')}/models/${model_id}/artifacts`,
      creation_time,
      last_updated_time: creation_time,
      status: STATUS_PENDING,
      status_message: null,
      model_type,
      source_run_id,
      stage: STAGE_ACTIVE,
    })
    await insertLoggedModelParams(db, model, params)
    await upsertLoggedModelTags(db, model, tags)
    return { model: await toWireLoggedModel(db, model) }
  },

  async get({ db }, { model_id, allow_deleted = false }) {
    const model = await getLoggedModel(db, model_id, { allowDeleted: allow_deleted })
    return { model: await toWireLoggedModel(db, model) }
  },

  async finalize({ db }, { model_id, status }) {
    if (status === undefined) {
      throw invalid(
        `Missing value for required parameter 'status'. It must be one of ${LOGGED_MODEL_STATUSES.join(', ')}.`,
      )
    }
    const model = await getLoggedModel(db, model_id, EVEN_DELETED)
    const finalized = await updateLoggedModel(db, model, {
      status: LOGGED_MODEL_STATUSES.indexOf(status),
    })
    return { model: await toWireLoggedModel(db, finalized) }
  },

  async delete({ db }, { model_id }) {
    const model = await getLoggedModel(db, model_id, EVEN_DELETED)
    await updateLoggedModel(db, model, { stage: STAGE_DELETED })
    return {}
  },

  async search({ db, caller }, input) {
    const { experiment_ids, max_results = 0 } = input
    if (experiment_ids === undefined) {
      throw invalid(
        "Missing value for required parameter 'experiment_ids'. See the API docs for more information about request parameters.",
      )
    }
    if (max_results < 0) {
      throw invalid(
        `Invalid value ${max_results} for parameter 'max_results' supplied. It must be a positive integer.`,
      )
    }
    const { rows, nextPageToken } = await searchLoggedModelsQuery(db, {
      experiments: experiment_ids.map(parseExperimentId),
      visibility: visibleExperiments(caller),
      filter: input.filter,
      datasets: input.datasets,
      orderBy: input.order_by,
      maxResults: Math.min(max_results || PAGE_DEFAULT, LOGGED_MODELS_PAGE_MAX),
      pageToken: input.page_token,
    })
    const models = await toWireLoggedModels(db, rows)
    return {
      ...(models.length > 0 && { models }),
      ...(nextPageToken !== undefined && { next_page_token: nextPageToken }),
    }
  },

  async setTags({ db }, { model_id, tags }) {
    const checked = checkEntries('tags', tags)
    await upsertLoggedModelTags(db, await getLoggedModel(db, model_id, EVEN_DELETED), checked)
    return {}
  },

  async deleteTag({ db }, { model_id, tag_key }) {
    const { id } = await getLoggedModel(db, model_id, EVEN_DELETED)
    if (!(await deleteLoggedModelTag(db, id, tag_key))) {
      throw notFound(
        `No tag with key ${pythonText(tag_key)} found for model with ID ${pythonText(model_id)}.`,
      )
    }
    return {}
  },

  async logParams({ db }, { model_id, params }) {
    const checked = checkEntries('params', params)
    await insertLoggedModelParams(db, await getLoggedModel(db, model_id, EVEN_DELETED), checked)
    return {}
  },

  async listArtifacts({ db, settings }, { model_id, artifact_directory_path }) {
    const { artifact_location } = await getLoggedModel(db, model_id)
    const files = await listDirectory(artifact_location, artifact_directory_path, settings)
    return { root_uri: artifact_location, ...(files.length > 0 && { files }) }
  },
}

const NAME_CHARACTERS_REFUSED = ['/', ':', '.', '%', '"', "'"]

/** MLflow 3.17 `_validate_logged_model_name`; without a name the model gets a random one. */
function checkName(name: string): void {
  if (NAME_CHARACTERS_REFUSED.some((character) => name.includes(character))) {
    const shown = NAME_CHARACTERS_REFUSED.map(pythonText).join(', ')
    throw invalid(
      `Invalid model name (${pythonText(name)}) provided. Model name must be a non-empty string and cannot contain the following characters: (${shown})`,
    )
  }
  checkLength('name', NAME_LENGTH_MAX, name)
}

/** Any text may be a key here, unlike a key of a run. */
function checkEntries(
  field: string,
  entries: readonly { key: string; value?: string | undefined }[] = [],
): { key: string; value: string }[] {
  checkCount(field, entries)
  return entries.map(({ key, value = '' }, index) => {
    checkLength(`${field}[${index}].key`, KEY_LENGTH_MAX, key)
    checkLength(`${field}[${index}].value`, VALUE_LENGTH_MAX, value)
    return { key, value }
  })
}
