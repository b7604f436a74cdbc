import type { Api } from '@millrace/api/api'
import { ApiError, alreadyExists, invalid, notFound } from '@millrace/api/errors'
import { EXPERIMENTS_PAGE_MAX } from '@millrace/api/experiments'
import { parseExperimentLocation } from '@millrace/artifacts/experiment-location'
import { ownLocations } from '../artifacts/artifact-root.ts'
import { visibleExperiments } from '../auth/visibility.ts'
import type { Db } from '../db/dialect.ts'
import { STAGE_ACTIVE, STAGE_DELETED } from '../db/schema.ts'
import type { Handlers } from '../handlers.ts'
import { searchExperimentsQuery } from '../search/search-experiments-query.ts'
import {
  deleteExperimentTag,
  findExperimentByName,
  getActiveExperiment,
  getExperiment,
  getWireExperiment,
  insertExperiment,
  noSuchExperiment,
  parseExperimentId,
  toWireExperiments,
  updateExperiment,
  updateStageOfRuns,
  upsertExperimentTag,
} from './experiment-store.ts'
import {
  checkCount,
  checkKey,
  checkLength,
  EXPERIMENT_NAME_LENGTH_MAX,
  EXPERIMENT_TAG_VALUE_LENGTH_MAX,
  KEY_LENGTH_MAX,
} from './limits.ts'
import { summariseDatasets } from './run-input-store.ts'

const DATASET_EXPERIMENTS_MAX = 20
const CUSTOM_VIEW_PREFIX = 'mlflow.customView.view'
const CUSTOM_VIEWS_MAX = 50

export const experiments: Handlers<Api['experiments']> = {
  async create({ db, caller, settings }, { name, artifact_location, tags = [] }) {
    checkName(name)
    checkCount('tags', tags)
    for (const { key, value = '' } of tags) checkTag(key, value)
    if (tags.filter(({ key }) => key.startsWith(CUSTOM_VIEW_PREFIX)).length > CUSTOM_VIEWS_MAX) {
      throw tooManyViews()
    }
    const location = artifact_location
      ? parseExperimentLocation(artifact_location, {
          allowLocal: settings.allowsLocalLocations,
          allowedSchemes: settings.allowedArtifactSchemes,
          ownLocations: ownLocations(settings),
          lengthMax: settings.artifactLocationLengthMax,
        }).uri
      : undefined

    const { workspace } = caller
    const id = await insertExperiment(
      db,
      { workspace, name, creation_time: Date.now() },
      (id) => location ?? `${settings.defaultArtifactRoot.replace(/\/$/, '')}/${id}`,
    )
    for (const { key, value = '' } of tags) await upsertExperimentTag(db, id, { key, value })
    return { experiment_id: String(id) }
  },

  async search({ db, caller }, { max_results, page_token, filter, order_by, view_type }) {
    const maxResults = Number(max_results ?? 0)
    if (maxResults < 1 || maxResults > EXPERIMENTS_PAGE_MAX) throw badMaxResults(maxResults)
    const { rows, nextPageToken } = await searchExperimentsQuery(db, {
      visibility: visibleExperiments(caller),
      workspace: caller.workspace,
      filter,
      orderBy: order_by,
      viewType: view_type ?? 'ACTIVE_ONLY',
      maxResults,
      pageToken: page_token,
    })
    return page(await toWireExperiments(db, rows), nextPageToken)
  },

  async list({ db, caller }, { view_type, max_results, page_token }) {
    if (max_results !== undefined && max_results < 1) throw badMaxResults(max_results)
    const { rows, nextPageToken } = await searchExperimentsQuery(db, {
      visibility: visibleExperiments(caller),
      workspace: caller.workspace,
      filter: undefined,
      orderBy: ['experiment_id ASC'],
      viewType: view_type ?? 'ACTIVE_ONLY',
      maxResults: Math.min(Number(max_results ?? EXPERIMENTS_PAGE_MAX), EXPERIMENTS_PAGE_MAX),
      pageToken: page_token,
    })
    return page(await toWireExperiments(db, rows), nextPageToken)
  },

  async get({ db }, { experiment_id }) {
    return { experiment: await getWireExperiment(db, experiment_id) }
  },

  async getByName({ db, caller }, { experiment_name }) {
    const row = await findExperimentByName(db, caller.workspace, experiment_name)
    if (row === undefined) {
      throw notFound(`Could not find experiment with name '${experiment_name}'`)
    }
    return { experiment: await wireExperiment(db, row) }
  },

  async update({ db, caller }, { experiment_id, new_name }) {
    checkName(new_name)
    const experiment = await getExperiment(db, experiment_id)
    if (experiment.stage !== STAGE_ACTIVE) {
      throw new ApiError('INVALID_STATE', 'Cannot rename a non-active experiment.')
    }
    const other = await findExperimentByName(db, caller.workspace, new_name)
    if (other !== undefined && other.id !== experiment.id) {
      throw alreadyExists(`Experiment(name=${new_name}) already exists.`)
    }
    await updateExperiment(db, experiment.id, { name: new_name })
    return {}
  },

  async delete({ db }, { experiment_id }) {
    const experiment = await getExperiment(db, experiment_id)
    if (experiment.stage !== STAGE_ACTIVE) throw noSuchExperiment(experiment_id)
    await updateExperiment(db, experiment.id, { stage: STAGE_DELETED })
    await updateStageOfRuns(db, experiment.id, STAGE_DELETED)
    return {}
  },

  async restore({ db }, { experiment_id }) {
    const experiment = await getExperiment(db, experiment_id)
    if (experiment.stage !== STAGE_DELETED) throw noSuchExperiment(experiment_id)
    await updateExperiment(db, experiment.id, { stage: STAGE_ACTIVE })
    await updateStageOfRuns(db, experiment.id, STAGE_ACTIVE)
    return {}
  },

  async setTag({ db }, { experiment_id, key, value = '' }) {
    checkTag(key, value)
    const { id } = await getActiveExperiment(db, experiment_id)
    if (key.startsWith(CUSTOM_VIEW_PREFIX)) await checkRoomForView(db, id, key)
    await upsertExperimentTag(db, id, { key, value })
    await updateExperiment(db, id, {})
    return {}
  },

  async deleteTag({ db }, { experiment_id, key }) {
    const { id } = await getActiveExperiment(db, experiment_id)
    if (!(await deleteExperimentTag(db, id, key))) {
      throw notFound(`No tag with name: ${key} in experiment with id ${experiment_id}`)
    }
    await updateExperiment(db, id, {})
    return {}
  },

  async searchDatasets({ db, caller }, { experiment_ids = [] }) {
    if (experiment_ids.length === 0) {
      throw invalid('SearchDatasets request must specify at least one experiment_id.')
    }
    if (experiment_ids.length > DATASET_EXPERIMENTS_MAX) {
      throw invalid(
        `SearchDatasets request cannot specify more than ${DATASET_EXPERIMENTS_MAX} experiment_ids. Received ${experiment_ids.length} experiment_ids.`,
      )
    }
    const ids = experiment_ids.map(parseExperimentId)
    const summaries = await summariseDatasets(db, ids, visibleExperiments(caller))
    return summaries.length === 0 ? {} : { dataset_summaries: summaries }
  },
}

function checkName(name: string): void {
  checkLength('name', EXPERIMENT_NAME_LENGTH_MAX, name)
}

function checkTag(key: string, value: string): void {
  checkKey(key, 'key')
  checkLength('key', KEY_LENGTH_MAX, key)
  checkLength('value', EXPERIMENT_TAG_VALUE_LENGTH_MAX, value)
}

async function checkRoomForView(db: Db, experiment: number, key: string): Promise<void> {
  const views = await db
    .selectFrom('experiment_tag')
    .select('key')
    .where('experiment', '=', experiment)
    .where('key', 'like', `${CUSTOM_VIEW_PREFIX}%`)
    .execute()
  if (views.length >= CUSTOM_VIEWS_MAX && !views.some((view) => view.key === key)) {
    throw tooManyViews()
  }
}

function tooManyViews() {
  return invalid(`An experiment can have at most ${CUSTOM_VIEWS_MAX} custom views.`)
}

function badMaxResults(maxResults: number | bigint) {
  return invalid(
    `Invalid value ${maxResults} for parameter 'max_results' supplied. It must be a positive integer no larger than ${EXPERIMENTS_PAGE_MAX}.`,
  )
}

type ExperimentRow = Awaited<ReturnType<typeof getExperiment>>

async function wireExperiment(db: Db, row: ExperimentRow) {
  const [experiment] = await toWireExperiments(db, [row])
  if (experiment === undefined) throw noSuchExperiment(String(row.id))
  return experiment
}

function page<Item>(experiments: Item[], next_page_token: string | undefined) {
  return {
    ...(experiments.length > 0 && { experiments }),
    ...(next_page_token !== undefined && { next_page_token }),
  }
}
