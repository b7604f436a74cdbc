import type { Api } from '@millrace/api/api'
import { invalid, notFound } from '@millrace/api/errors'
import type { z } from 'zod'
import { orderedId } from '../db/ordered-id.ts'
import { STAGE_ACTIVE, STAGE_DELETED } from '../db/schema.ts'
import {
  type Handlers,
  JsonText,
  prepared,
  type QuickContext,
  type RequestContext,
} from '../handlers.ts'
import { createRun, quickRun, type RunToCreate } from './create-run.ts'
import { checkDatasets } from './dataset-limits.ts'
import {
  checkCount,
  checkKey,
  checkLength,
  checkRunId,
  clampInfinity,
  KEY_LENGTH_MAX,
  limitLength,
  PARAM_VALUE_LENGTH_MAX,
  pythonText,
  TAG_VALUE_LENGTH_MAX,
} from './limits.ts'
import {
  checkBatchLimits,
  checkMetricKey,
  checkTimestamp,
  readMetrics,
  storeMetric,
  storeMetrics,
} from './log-batch.ts'
import { checkModelJson, readModelHistory } from './model-history.ts'
import { insertModelMetrics } from './model-metric-store.ts'
import { paramEntry, quickEntry, quickMetric, quickMetrics, tagEntry } from './quick-writes.ts'
import { randomRunName } from './random-run-name.ts'
import { insertDatasets, insertModelLinks } from './run-input-store.ts'
import { readRunJson } from './run-reading.ts'
import {
  beforeWrite,
  deleteTag,
  findTag,
  getRun,
  getRunToWrite,
  insertParams,
  RUN_NAME_TAG,
  requireRunId,
  statusNumber,
  toWireInfo,
  updateRun,
  updateRunStage,
  upsertTags,
} from './run-store.ts'
import { searchRuns } from './search-runs.ts'
import { readWholeRun } from './whole-runs.ts'

/** Reading so many blocks costs about what the rest of a run does. */
const BLOCKS_WORTH_FOLDING = 64
const MODEL_HISTORY_TAG = 'mlflow.log-model.history'

type Input<Name extends keyof Api['runs']> = z.output<Api['runs'][Name]['input']>

export const runs: Handlers<Api['runs']> = {
  create: prepared(
    (input) => {
      checkCount('tags', input.tags)
      const uuid = orderedId()
      return { ...input, uuid, random_name: randomRunName() }
    },
    async ({ db, settings }, input) => createRun(db, describeNewRun(input, settings)),
    async ({ db, settings }, input) => quickRun(db, () => describeNewRun(input, settings)),
  ),

  async update({ db }, input) {
    const run = await getRunToWrite(db, requireRunId(input))
    const { status, end_time, run_name } = input
    const change = {
      ...(status !== undefined && { status: statusNumber(status) }),
      ...(end_time !== undefined && { end_time }),
      ...(run_name && { name: run_name }),
    }
    await updateRun(db, run.id, change)
    if (run_name) await upsertTags(db, run, [{ key: RUN_NAME_TAG, value: run_name }])
    await beforeWrite(db, { ...run, ...change })
    return { run_info: toWireInfo({ ...run, ...change }) }
  },

  async get({ db, snapshot, fold }, input) {
    const run_id = requireRunId(input)
    const onUnfolded = (run: number, blocks: number) => {
      // The next reader has less to add; whether that works makes no difference to this one.
      if (blocks > BLOCKS_WORTH_FOLDING) void fold([run]).catch(() => undefined)
    }
    const whole = await readWholeRun(db, run_id)
    if (whole !== undefined) {
      onUnfolded(whole.id, whole.blocks)
      return new JsonText(`{"run":${whole.text}}`)
    }
    return snapshot(async (db) => {
      const run = await getRun(db, run_id)
      const text = await readRunJson(db, run, (blocks) => onUnfolded(run.id, blocks))
      return new JsonText(`{"run":${text}}`)
    })
  },

  async delete({ db }, { run_id }) {
    const run = await getRun(db, run_id)
    await beforeWrite(db, run)
    await updateRunStage(db, run.id, STAGE_DELETED)
    return {}
  },

  async restore({ db }, { run_id }) {
    const run = await getRun(db, run_id)
    await beforeWrite(db, run)
    await updateRunStage(db, run.id, STAGE_ACTIVE)
    return {}
  },

  search: searchRuns,

  logMetric: prepared(
    (input) => {
      const run_id = requireRunId(input)
      const { key, timestamp, step = 0, model_id, dataset_name, dataset_digest } = input
      checkMetricKey(key, 'name')
      checkTimestamp(timestamp, key, input.value, 'timestamp')
      const value = clampInfinity(input.value)
      return { run_id, key, value, timestamp, step, model_id, dataset_name, dataset_digest }
    },
    async ({ db }, { run_id, model_id, dataset_name, dataset_digest, ...metric }) => {
      const run = await getRunToWrite(db, run_id)
      await storeMetric(db, run, metric)
      if (model_id) {
        await insertModelMetrics(db, run, [{ ...metric, model_id, dataset_name, dataset_digest }])
      }
      return {}
    },
    async ({ db }, { run_id, model_id, ...metric }) =>
      model_id ? undefined : quickMetric(db, run_id, metric),
  ),

  logParameter: {
    async run({ db, settings }: RequestContext, input: Input<'logParameter'>) {
      const param = checkParam(input, settings, '')
      const run = await getRunToWrite(db, requireRunId(input))
      const [change] = await insertParams(db, run, [param])
      if (change !== undefined) {
        throw invalid(
          `Changing param values is not allowed. Param with key='${param.key}' was already logged with value='${change.old_value}' for run ID='${run.uuid}'. Attempted logging new value '${change.new_value}'.`,
        )
      }
      return {}
    },
    async quick({ db, settings }: QuickContext, input: Input<'logParameter'>) {
      const param = checkParam(input, settings, '')
      return quickEntry(db, requireRunId(input), param, paramEntry)
    },
  },

  logBatch: prepared(
    ({ run_id, metrics = [], params = [], tags = [] }) => {
      checkRunId(run_id)
      checkBatchLimits({ metrics: metrics.length, params: params.length, tags: tags.length })
      return { run_id, metrics: readMetrics(metrics), params, tags }
    },
    async ({ db, settings }, batch) => {
      const params = batch.params.map((param, i) => checkParam(param, settings, `params[${i}].`))
      const tags = batch.tags.map((tag, i) => checkTag(tag, settings, `tags[${i}].`))
      checkNoRepeats(params.map(({ key }) => key))
      const run = await getRunToWrite(db, batch.run_id)
      if (params.length > 0) {
        const changes = await insertParams(db, run, params)
        if (changes.length > 0) throw changedParams(run.uuid, changes)
      }
      await storeMetrics(db, run, batch.metrics)
      // A run keeps its name when it is told to have none.
      const kept = tags.filter(({ key, value }) => key !== RUN_NAME_TAG || value !== '')
      if (kept.length > 0) {
        await upsertTags(db, run, kept)
        const name = kept.findLast(({ key }) => key === RUN_NAME_TAG)?.value
        if (name !== undefined) await updateRun(db, run.id, { name })
      }
      return {}
    },
    async ({ db }, { run_id, metrics, params, tags }) => {
      const isMore = params.length > 0 || tags.length > 0 || metrics.ofModels.length > 0
      return isMore ? undefined : quickMetrics(db, run_id, metrics)
    },
  ),

  setTag: {
    async run({ db, settings }: RequestContext, input: Input<'setTag'>) {
      const tag = checkTag(input, settings, '')
      const run = await getRunToWrite(db, requireRunId(input))
      if (tag.key !== RUN_NAME_TAG) await upsertTags(db, run, [tag])
      else if (tag.value !== '') {
        await upsertTags(db, run, [tag])
        await updateRun(db, run.id, { name: tag.value })
      }
      return {}
    },
    async quick({ db, settings }: QuickContext, input: Input<'setTag'>) {
      const tag = checkTag(input, settings, '')
      if (tag.key === RUN_NAME_TAG) return undefined
      return quickEntry(db, requireRunId(input), tag, tagEntry)
    },
  },

  async deleteTag({ db }, { run_id, key }) {
    const run = await getRunToWrite(db, run_id)
    if (!(await deleteTag(db, run.id, key))) {
      throw notFound(`No tag with name: ${key} in run with id ${run_id}`)
    }
    return {}
  },

  async logModel({ db, settings }, { run_id, model_json }) {
    const model = checkModelJson(model_json)
    const run = await getRunToWrite(db, run_id)
    const history = readModelHistory(await findTag(db, run.id, MODEL_HISTORY_TAG), run_id)
    const value = JSON.stringify([...history, model])
    // Cut, it would be JSON no more, so MLflow keeps it whole where it would cut another tag.
    if (!settings.truncatesLongValues) checkLength('value', TAG_VALUE_LENGTH_MAX, value)
    await upsertTags(db, run, [{ key: MODEL_HISTORY_TAG, value }])
    return {}
  },

  async logInputs({ db }, { run_id, datasets = [], models = [] }) {
    checkRunId(run_id)
    checkDatasets(datasets)
    const run = await getRunToWrite(db, run_id)
    await insertDatasets(db, run, datasets)
    await insertModelLinks(db, run.id, 'input', models)
    return {}
  },

  async logOutputs({ db }, { run_id, models = [] }) {
    const run = await getRunToWrite(db, run_id)
    await insertModelLinks(db, run.id, 'output', models)
    return {}
  },
}

interface Truncation {
  truncatesLongValues: boolean
}

type TagInput = { key: string; value?: string | undefined }

/** A tag whose key is legal and whose value fits; `path` is put before the names in messages. */
function checkTag(tag: TagInput, truncation: Truncation, path: string) {
  checkKey(tag.key, `${path}key`)
  return fitTag(tag, truncation, path)
}

/** A tag that fits. That is all MLflow asks of the tags which a run is created with. */
function fitTag({ key, value = '' }: TagInput, { truncatesLongValues }: Truncation, path: string) {
  checkLength(`${path}key`, KEY_LENGTH_MAX, key)
  const fitting = limitLength(`${path}value`, TAG_VALUE_LENGTH_MAX, value, truncatesLongValues)
  return { key, value: fitting }
}

function checkParam(
  { key, value = '' }: { key: string; value?: string | undefined },
  { truncatesLongValues }: Truncation,
  path: string,
) {
  checkKey(key, `${path}key`)
  checkLength('Param key', KEY_LENGTH_MAX, key)
  const fitting = limitLength('Param value', PARAM_VALUE_LENGTH_MAX, value, truncatesLongValues)
  return { key, value: fitting }
}

function checkNoRepeats(keys: string[]): void {
  const seen = new Set<string>()
  const repeated: string[] = []
  for (const key of keys) {
    if (seen.has(key)) repeated.push(pythonText(key))
    seen.add(key)
  }
  if (repeated.length === 0) return
  throw invalid(
    `Duplicate parameter keys have been submitted: [${repeated.join(', ')}]. Please ensure the request contains only one param value per param key.`,
  )
}

function changedParams(
  run_id: string,
  changes: { key: string; old_value: string; new_value: string }[],
) {
  const shown = changes.map(
    ({ key, old_value, new_value }) =>
      `{'key': ${pythonText(key)}, 'old_value': ${pythonText(old_value)}, 'new_value': ${pythonText(new_value)}}`,
  )
  return invalid(
    `Changing param values is not allowed. Params were already logged='[${shown.join(', ')}]' for run ID='${run_id}'.`,
  )
}

/** What a run is created with, once it is checked; without a name it has the random one. */
function describeNewRun(
  input: Input<'create'> & { uuid: string; random_name: string },
  settings: Truncation,
): RunToCreate {
  const tags = (input.tags ?? []).map((tag, i) => fitTag(tag, settings, `tags[${i}].`))
  const named = chooseName(input.run_name, tags.findLast(({ key }) => key === RUN_NAME_TAG)?.value)
  const name = named || input.random_name
  const byKey = new Map(tags.map(({ key, value }) => [key, value]))
  byKey.set(RUN_NAME_TAG, name)
  return {
    experiment_id: input.experiment_id,
    uuid: input.uuid,
    name,
    user_id: input.user_id ?? '',
    start_time: input.start_time ?? 0,
    tags: [...byKey].map(([key, value]) => ({ key, value })),
  }
}

/** A run's name from its two sources, which must agree; without any it is empty. */
function chooseName(run_name: string | undefined, tag: string | undefined): string {
  if (run_name && tag && run_name !== tag) {
    throw invalid(
      `Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='${run_name}', mlflow.runName='${tag}').`,
    )
  }
  return run_name || tag || ''
}
