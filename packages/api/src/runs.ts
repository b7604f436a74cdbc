import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { LifecycleStage, ViewType } from './experiments.ts'
import {
  Double,
  Id,
  Int64,
  KeyValue,
  KeyValueOut,
  lenientEnum,
  NextPageToken,
  RequiredId,
  RequiredText,
} from './wire.ts'

/** MLflow's `RunStatus`, in the order of its numbers from 1. */
export const RUN_STATUSES = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'] as const
export const RunStatus = lenientEnum(RUN_STATUSES, 1)
export type RunStatus = (typeof RUN_STATUSES)[number]

/** The value of a metric on its way out: whole ones beyond 2^53 are doubles like all others. */
const MetricValueOut = z
  .custom<number | bigint | 'NaN'>(
    (value) => typeof value === 'number' || typeof value === 'bigint' || value === 'NaN',
  )
  .transform((value): number | 'NaN' => (typeof value === 'bigint' ? Number(value) : value))
  .meta({ anyOf: [{ type: 'number' }, { type: 'string', const: 'NaN' }] })

/** A metric on its way out; NaN is the text "NaN". */
export const MetricOut = z.object({
  key: z.string(),
  value: MetricValueOut,
  timestamp: Int64,
  step: Int64,
  run_id: z.string().optional(),
  model_id: z.string().optional(),
  dataset_name: z.string().optional(),
  dataset_digest: z.string().optional(),
})
export type MetricOut = z.output<typeof MetricOut>

export const RunInfo = z.object({
  run_id: z.string(),
  run_uuid: z.string(),
  run_name: z.string(),
  experiment_id: z.string(),
  user_id: z.string(),
  status: z.enum(RUN_STATUSES),
  start_time: Int64,
  end_time: Int64.optional(),
  artifact_uri: z.string(),
  lifecycle_stage: LifecycleStage,
})
export type RunInfo = z.output<typeof RunInfo>

export const Dataset = z.object({
  name: RequiredText,
  digest: RequiredText,
  source_type: RequiredText,
  source: RequiredText,
  schema: z.string().optional(),
  profile: z.string().optional(),
})

const DatasetInput = z.object({
  tags: z.array(z.object({ key: RequiredText, value: z.string() })).optional(),
  dataset: Dataset,
})

export const Run = z.object({
  info: RunInfo,
  data: z.object({
    metrics: z.array(MetricOut).optional(),
    params: z.array(KeyValueOut).optional(),
    tags: z.array(KeyValueOut).optional(),
  }),
  inputs: z
    .object({
      dataset_inputs: z.array(DatasetInput).optional(),
      model_inputs: z.array(z.object({ model_id: z.string() })).optional(),
    })
    .optional(),
  outputs: z
    .object({
      model_outputs: z.array(z.object({ model_id: z.string(), step: Int64 })).optional(),
    })
    .optional(),
})
export type Run = z.output<typeof Run>

/** `run_uuid` is the name of `run_id` in 1.x bodies. */
const RunId = { run_id: z.string().optional(), run_uuid: z.string().optional() }

/** One point of a metric as it arrives. */
export const MetricIn = z.object({
  key: RequiredText,
  value: Double,
  timestamp: Int64,
  step: Int64.optional(),
  model_id: z.string().optional(),
  dataset_name: z.string().optional(),
  dataset_digest: z.string().optional(),
})

/** Most metrics, params and tags that one `log-batch` takes, and all of them together. */
export const LOG_BATCH_MAX = { metrics: 1000, params: 100, tags: 100, total: 1000 } as const

/** Most runs a page may hold. */
export const RUNS_PAGE_MAX = 50_000

const editRun = { permission: 'EDIT', on: 'run', field: 'run_id' } as const
const readRun = { permission: 'READ', on: 'run', field: 'run_id' } as const

export const runs = {
  create: endpoint({
    method: 'POST',
    path: '/mlflow/runs/create',
    summary: 'Create a run in an active experiment; without a name it gets a random one.',
    access: { permission: 'EDIT', on: 'experiment', field: 'experiment_id' },
    effect: 'write',
    makesNew: true,
    input: z.object({
      experiment_id: RequiredId,
      user_id: z.string().optional(),
      run_name: z.string().optional(),
      start_time: Int64.optional(),
      tags: z.array(KeyValue).optional(),
    }),
    output: z.object({ run: Run }),
  }),
  update: endpoint({
    method: 'POST',
    path: '/mlflow/runs/update',
    summary: 'Change status, end time or name of an active run.',
    access: editRun,
    effect: 'write',
    input: z.object({
      ...RunId,
      status: RunStatus.optional(),
      end_time: Int64.optional(),
      run_name: z.string().optional(),
    }),
    output: z.object({ run_info: RunInfo }),
  }),
  get: endpoint({
    method: 'GET',
    path: '/mlflow/runs/get',
    summary: 'Get a run with its latest metrics, params, tags, inputs and outputs.',
    access: readRun,
    effect: 'read',
    input: z.object(RunId),
    output: z.object({ run: Run }),
  }),
  delete: endpoint({
    method: 'POST',
    path: '/mlflow/runs/delete',
    summary: 'Put a run in the bin.',
    access: editRun,
    effect: 'write',
    input: z.object({ run_id: RequiredText }),
    output: z.object({}),
  }),
  restore: endpoint({
    method: 'POST',
    path: '/mlflow/runs/restore',
    summary: 'Take a run out of the bin.',
    access: editRun,
    effect: 'write',
    input: z.object({ run_id: RequiredText }),
    output: z.object({}),
  }),
  search: endpoint({
    method: 'POST',
    path: '/mlflow/runs/search',
    summary: 'Search the runs of some experiments with a filter, ordered, page by page.',
    access: 'signed-in',
    effect: 'read',
    mayLag: true,
    input: z.object({
      experiment_ids: z.array(Id).optional(),
      filter: z.string().optional(),
      run_view_type: ViewType.optional(),
      max_results: Int64.optional(),
      order_by: z.array(z.string()).optional(),
      page_token: z.string().optional(),
    }),
    output: z.object({ runs: z.array(Run).optional(), next_page_token: NextPageToken }),
  }),
  logMetric: endpoint({
    method: 'POST',
    path: '/mlflow/runs/log-metric',
    summary: 'Log one point of a metric; the same point twice is one point.',
    access: editRun,
    effect: 'write',
    input: z.object({ ...RunId, ...MetricIn.shape }),
    output: z.object({}),
  }),
  logParameter: endpoint({
    method: 'POST',
    path: '/mlflow/runs/log-parameter',
    summary: 'Log a param; a second, different value is refused.',
    access: editRun,
    effect: 'write',
    input: z.object({ ...RunId, key: RequiredText, value: z.string().optional() }),
    output: z.object({}),
  }),
  logBatch: endpoint({
    method: 'POST',
    path: '/mlflow/runs/log-batch',
    summary: 'Log metrics, params and tags of a run: all of them, or none.',
    access: editRun,
    effect: 'write',
    input: z.object({
      run_id: RequiredText,
      // The elements are checked by hand in the handler: zod would double the cost of a request.
      metrics: z.array(z.unknown()).optional(),
      params: z.array(KeyValue).optional(),
      tags: z.array(KeyValue).optional(),
    }),
    output: z.object({}),
  }),
  setTag: endpoint({
    method: 'POST',
    path: '/mlflow/runs/set-tag',
    summary: 'Set a tag of an active run.',
    access: editRun,
    effect: 'write',
    input: z.object({ ...RunId, key: RequiredText, value: z.string().optional() }),
    output: z.object({}),
  }),
  deleteTag: endpoint({
    method: 'POST',
    path: '/mlflow/runs/delete-tag',
    summary: 'Delete a tag of an active run.',
    access: editRun,
    effect: 'write',
    input: z.object({ run_id: RequiredText, key: RequiredText }),
    output: z.object({}),
  }),
  logModel: endpoint({
    method: 'POST',
    path: '/mlflow/runs/log-model',
    summary: 'Remember in a tag that a run saved a model (clients before 3.0).',
    access: editRun,
    effect: 'write',
    input: z.object({ run_id: RequiredText, model_json: RequiredText }),
    output: z.object({}),
  }),
  logInputs: endpoint({
    method: 'POST',
    path: '/mlflow/runs/log-inputs',
    summary: 'Record the datasets and logged models that a run used.',
    access: editRun,
    effect: 'write',
    input: z.object({
      run_id: RequiredText,
      datasets: z.array(DatasetInput).optional(),
      models: z.array(z.object({ model_id: RequiredText })).optional(),
    }),
    output: z.object({}),
  }),
  logOutputs: endpoint({
    method: 'POST',
    path: '/mlflow/runs/outputs',
    summary: 'Record the logged models that a run made.',
    access: editRun,
    effect: 'write',
    input: z.object({
      run_id: RequiredText,
      models: z.array(z.object({ model_id: RequiredText, step: Int64.optional() })).optional(),
    }),
    output: z.object({}),
  }),
}
