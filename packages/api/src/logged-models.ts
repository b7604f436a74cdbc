import { z } from 'zod'
import { FileInfo } from './artifacts.ts'
import { endpoint } from './endpoint.ts'
import { MetricOut } from './runs.ts'
import {
  Bool,
  Id,
  Int32,
  Int64,
  KeyValue,
  KeyValueOut,
  lenientEnum,
  NextPageToken,
  RequiredId,
  RequiredText,
} from './wire.ts'

/** MLflow's `LoggedModelStatus`, in the order of its numbers from 0. */
export const LOGGED_MODEL_STATUSES = [
  'LOGGED_MODEL_STATUS_UNSPECIFIED',
  'LOGGED_MODEL_PENDING',
  'LOGGED_MODEL_READY',
  'LOGGED_MODEL_UPLOAD_FAILED',
] as const
export type LoggedModelStatus = (typeof LOGGED_MODEL_STATUSES)[number]

export const LoggedModel = z.object({
  info: z.object({
    model_id: z.string(),
    experiment_id: z.string(),
    name: z.string(),
    creation_timestamp_ms: Int64,
    last_updated_timestamp_ms: Int64,
    artifact_uri: z.string(),
    status: z.enum(LOGGED_MODEL_STATUSES),
    model_type: z.string(),
    source_run_id: z.string(),
    status_message: z.string().optional(),
    tags: z.array(KeyValueOut).optional(),
  }),
  data: z.object({
    params: z.array(KeyValueOut).optional(),
    metrics: z.array(MetricOut).optional(),
  }),
})
export type LoggedModel = z.output<typeof LoggedModel>

/** Most logged models a page holds; whoever asks for more gets a token for the rest. */
export const LOGGED_MODELS_PAGE_MAX = 50_000

const readModel = { permission: 'READ', on: 'logged_model', field: 'model_id' } as const
const editModel = { permission: 'EDIT', on: 'logged_model', field: 'model_id' } as const

export const loggedModels = {
  create: endpoint({
    method: 'POST',
    path: '/mlflow/logged-models',
    summary: 'Create a logged model in an experiment; it is pending until it is finalized.',
    access: { permission: 'EDIT', on: 'experiment', field: 'experiment_id' },
    effect: 'write',
    makesNew: true,
    input: z.object({
      experiment_id: RequiredId,
      name: z.string().optional(),
      model_type: z.string().optional(),
      source_run_id: z.string().optional(),
      params: z.array(KeyValue).optional(),
      tags: z.array(KeyValue).optional(),
    }),
    output: z.object({ model: LoggedModel }),
  }),
  get: endpoint({
    method: 'GET',
    path: '/mlflow/logged-models/:model_id',
    summary: 'Get a logged model, a deleted one only with `allow_deleted`.',
    access: readModel,
    effect: 'read',
    input: z.object({ model_id: RequiredId, allow_deleted: Bool.optional() }),
    output: z.object({ model: LoggedModel }),
  }),
  finalize: endpoint({
    method: 'PATCH',
    path: '/mlflow/logged-models/:model_id',
    summary: 'Say that the artifacts of a logged model are complete, or that they failed.',
    access: editModel,
    effect: 'write',
    input: z.object({
      model_id: RequiredId,
      status: lenientEnum(LOGGED_MODEL_STATUSES, 0).optional(),
    }),
    output: z.object({ model: LoggedModel }),
  }),
  delete: endpoint({
    method: 'DELETE',
    path: '/mlflow/logged-models/:model_id',
    summary: 'Put a logged model in the bin; doing it twice is fine.',
    access: editModel,
    effect: 'write',
    input: z.object({ model_id: RequiredId }),
    output: z.object({}),
  }),
  search: endpoint({
    method: 'POST',
    path: '/mlflow/logged-models/search',
    summary: 'Search the logged models of some experiments with a filter, ordered, page by page.',
    access: 'signed-in',
    effect: 'read',
    mayLag: true,
    input: z.object({
      experiment_ids: z.array(Id).optional(),
      filter: z.string().optional(),
      datasets: z
        .array(
          z.object({ dataset_name: z.string().optional(), dataset_digest: z.string().optional() }),
        )
        .optional(),
      max_results: Int32.optional(),
      order_by: z
        .array(
          z.object({
            field_name: z.string().optional(),
            ascending: Bool.optional(),
            dataset_name: z.string().optional(),
            dataset_digest: z.string().optional(),
          }),
        )
        .optional(),
      page_token: z.string().optional(),
    }),
    output: z.object({ models: z.array(LoggedModel).optional(), next_page_token: NextPageToken }),
  }),
  setTags: endpoint({
    method: 'PATCH',
    path: '/mlflow/logged-models/:model_id/tags',
    summary: 'Set tags of a logged model.',
    access: editModel,
    effect: 'write',
    input: z.object({ model_id: RequiredId, tags: z.array(KeyValue).optional() }),
    output: z.object({}),
  }),
  deleteTag: endpoint({
    method: 'DELETE',
    path: '/mlflow/logged-models/:model_id/tags/:tag_key',
    summary: 'Delete a tag of a logged model.',
    access: editModel,
    effect: 'write',
    input: z.object({ model_id: RequiredId, tag_key: RequiredText }),
    output: z.object({}),
  }),
  logParams: endpoint({
    method: 'POST',
    path: '/mlflow/logged-models/:model_id/params',
    summary: 'Log params of a logged model; a second, different value is refused.',
    access: editModel,
    effect: 'write',
    input: z.object({ model_id: RequiredId, params: z.array(KeyValue).optional() }),
    output: z.object({}),
  }),
  listArtifacts: endpoint({
    method: 'GET',
    path: '/mlflow/logged-models/:model_id/artifacts/directories',
    summary: 'List one directory of the artifacts of a logged model.',
    access: readModel,
    effect: 'read',
    input: z.object({
      model_id: RequiredId,
      artifact_directory_path: z.string().optional(),
      page_token: z.string().optional(),
    }),
    output: z.object({
      root_uri: z.string(),
      files: z.array(FileInfo).optional(),
      next_page_token: NextPageToken,
    }),
  }),
}
