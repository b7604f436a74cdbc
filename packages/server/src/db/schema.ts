import type { Generated } from 'kysely'

/**
 * Row types of every table. Integers that can pass 2^53 (steps, timestamps) are `Int64`; booleans
 * are 0 or 1; times are milliseconds since the epoch. Why the tables look as they do: ADR 0006.
 */
export type Int64 = number | bigint

/** What a run, experiment or logged model can be: still there, or in the bin. */
export const STAGE_ACTIVE = 0
export const STAGE_DELETED = 1

/** Facts about this database file itself, such as the product that made it. */
export interface StoreTable {
  key: string
  value: string
}

/** Names of metrics, params and run tags; every process caches the whole table. */
export interface KeyNameTable {
  id: Generated<number>
  name: string
}

export interface ExperimentTable {
  id: Generated<number>
  workspace: string
  name: string
  artifact_location: string
  stage: number
  creation_time: number
  last_update_time: number
}

export interface ExperimentTagTable {
  experiment: number
  key: string
  value: string
}

export interface RunTable {
  id: Generated<number>
  experiment: number
  uuid: string
  name: string
  user_id: string
  /** MLflow's `RunStatus` number: 1 RUNNING, 2 SCHEDULED, 3 FINISHED, 4 FAILED, 5 KILLED. */
  status: number
  start_time: Int64
  end_time: Int64 | null
  artifact_uri: string
  stage: number
  deleted_time: number | null
}

/** Points as they arrived: one row per request and run, not yet sealed. */
export interface MetricTailTable {
  id: Generated<number>
  run: number
  experiment: number
  /** 1 once `metric_latest` knows these points. */
  folded: number
  n: number
  data: Uint8Array
}

/** Sealed points: sorted, without duplicates, compressed; at most some thousand points a row. */
export interface MetricChunkTable {
  id: Generated<number>
  run: number
  experiment: number
  level: number
  first_key: number
  last_key: number
  n: number
  min_step: Int64
  max_step: Int64
  /** Null in chunks of the first release. */
  min_ts: Int64 | null
  max_ts: Int64 | null
  data: Uint8Array
}

/** One summary row per run and metric key; `value` is 0 where `is_nan` is 1. */
export interface MetricLatestTable {
  run: number
  key: number
  experiment: number
  /** Deliveries, not distinct points: a retried request counts twice. */
  n: number
  step: Int64
  ts: Int64
  value: number
  is_nan: number
  min: number | null
  max: number | null
  /** The value with the least (step, ts), 0 where `first_is_nan` is 1. */
  first: number
  first_is_nan: number
  first_step: Int64
  first_ts: Int64
}

export interface ParamTable {
  run: number
  key: number
  experiment: number
  value: string
}

export interface TagTable {
  run: number
  key: number
  experiment: number
  value: string
}

/** An ended run as one wire JSON text; any later write to the run deletes it. */
export interface RunDocTable {
  run: number
  data: string
}

export interface DatasetTable {
  id: Generated<number>
  experiment: number
  name: string
  digest: string
  source_type: string
  source: string
  schema: string | null
  profile: string | null
}

export interface RunDatasetTable {
  run: number
  dataset: number
  experiment: number
  /** The tag `mlflow.data.context`, kept apart because searches filter by it. */
  context: string | null
}

export interface RunDatasetTagTable {
  run: number
  dataset: number
  key: string
  value: string
}

/** Logged models that a run used (`input`) or made (`output`). */
export interface RunModelTable {
  run: number
  model_id: string
  direction: 'input' | 'output'
  step: Int64
}

export interface LoggedModelTable {
  id: Generated<number>
  model_id: string
  experiment: number
  name: string
  artifact_location: string
  creation_time: number
  last_updated_time: number
  /** MLflow's `LoggedModelStatus` number: 1 PENDING, 2 READY, 3 UPLOAD_FAILED. */
  status: number
  status_message: string | null
  model_type: string
  source_run_id: string
  stage: number
}

export interface LoggedModelParamTable {
  model: number
  key: string
  experiment: number
  value: string
}

export interface LoggedModelTagTable {
  model: number
  key: string
  experiment: number
  value: string
}

/** Points logged with a `model_id`; unique by (model, key, ts, step, run). */
export interface LoggedModelMetricTable {
  model: number
  key: string
  ts: Int64
  step: Int64
  run_id: string
  experiment: number
  value: number
  is_nan: number
  dataset_name: string | null
  dataset_digest: string | null
}

export interface RegisteredModelTable {
  id: Generated<number>
  workspace: string
  name: string
  description: string | null
  creation_time: number
  last_updated_time: number
  /** The highest version ever given out: numbers of deleted versions are not used again. */
  last_version: number
  /** 1 for a prompt (tag `mlflow.prompt.is_prompt` = true), which model searches leave out. */
  is_prompt: number
}

export interface RegisteredModelTagTable {
  model: number
  key: string
  value: string
}

export interface RegisteredModelAliasTable {
  model: number
  alias: string
  version: number
}

export interface ModelVersionTable {
  model: number
  version: number
  description: string | null
  creation_time: number
  last_updated_time: number
  stage: string
  source: string
  storage_location: string
  run_id: string
  run_link: string
  model_id: string | null
  user_id: string | null
  status: string
  status_message: string | null
}

export interface ModelVersionTagTable {
  model: number
  version: number
  key: string
  value: string
}

/** One transaction of a writer, by which it knows that it is stored (`writer-witness.ts`). */
export interface WriterWitnessTable {
  writer: string
  batch: number
  time: number
}

export interface Schema {
  store: StoreTable
  key_name: KeyNameTable
  experiment: ExperimentTable
  experiment_tag: ExperimentTagTable
  run: RunTable
  metric_tail: MetricTailTable
  metric_chunk: MetricChunkTable
  metric_latest: MetricLatestTable
  param: ParamTable
  tag: TagTable
  run_doc: RunDocTable
  dataset: DatasetTable
  run_dataset: RunDatasetTable
  run_dataset_tag: RunDatasetTagTable
  run_model: RunModelTable
  logged_model: LoggedModelTable
  logged_model_param: LoggedModelParamTable
  logged_model_tag: LoggedModelTagTable
  logged_model_metric: LoggedModelMetricTable
  registered_model: RegisteredModelTable
  registered_model_tag: RegisteredModelTagTable
  registered_model_alias: RegisteredModelAliasTable
  model_version: ModelVersionTable
  model_version_tag: ModelVersionTagTable
  writer_witness: WriterWitnessTable
}
