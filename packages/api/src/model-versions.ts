import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import {
  Bool,
  Int64,
  KeyValue,
  KeyValueOut,
  NextPageToken,
  RequiredId,
  RequiredText,
} from './wire.ts'

/** Stages of 1.x and 2.x, in MLflow's order and canonical spelling. */
export const MODEL_STAGES = ['None', 'Staging', 'Production', 'Archived'] as const
export type ModelStage = (typeof MODEL_STAGES)[number]

/** MLflow's `ModelVersionStatus`, in the order of its numbers from 1. */
export const MODEL_VERSION_STATUSES = [
  'PENDING_REGISTRATION',
  'FAILED_REGISTRATION',
  'READY',
] as const

export const ModelVersion = z.object({
  name: z.string(),
  /** A decimal number as text. */
  version: z.string(),
  creation_timestamp: Int64,
  last_updated_timestamp: Int64,
  user_id: z.string().optional(),
  current_stage: z.enum(MODEL_STAGES),
  description: z.string().optional(),
  source: z.string(),
  /** Empty when the version comes from no run. */
  run_id: z.string(),
  status: z.enum(MODEL_VERSION_STATUSES),
  status_message: z.string().optional(),
  tags: z.array(KeyValueOut).optional(),
  run_link: z.string(),
  aliases: z.array(z.string()).optional(),
  /** The logged model that the version was made of. */
  model_id: z.string().optional(),
})
export type ModelVersion = z.output<typeof ModelVersion>

/** Most model versions a page may hold, and how many it holds unless told. */
export const MODEL_VERSIONS_PAGE_MAX = 200_000

const readModel = { permission: 'READ', on: 'registered_model', field: 'name' } as const
const editModel = { permission: 'EDIT', on: 'registered_model', field: 'name' } as const
const manageModel = { permission: 'MANAGE', on: 'registered_model', field: 'name' } as const

const Version = { name: RequiredText, version: RequiredId }

export const modelVersions = {
  create: endpoint({
    method: 'POST',
    path: '/mlflow/model-versions/create',
    summary: 'Create the next version of a registered model from the artifacts at a source.',
    access: editModel,
    effect: 'write',
    makesNew: true,
    input: z.object({
      name: RequiredText,
      source: RequiredText,
      run_id: z.string().optional(),
      tags: z.array(KeyValue).optional(),
      run_link: z.string().optional(),
      description: z.string().optional(),
      model_id: z.string().optional(),
    }),
    output: z.object({ model_version: ModelVersion }),
  }),
  update: endpoint({
    method: 'PATCH',
    path: '/mlflow/model-versions/update',
    summary: 'Change the description of a model version; without one it is removed.',
    access: editModel,
    effect: 'write',
    input: z.object({ ...Version, description: z.string().optional() }),
    output: z.object({ model_version: ModelVersion }),
  }),
  transitionStage: endpoint({
    method: 'POST',
    path: '/mlflow/model-versions/transition-stage',
    summary: 'Move a model version to a stage, if asked in place of those that are there.',
    access: editModel,
    effect: 'write',
    input: z.object({
      ...Version,
      stage: RequiredText,
      archive_existing_versions: Bool.optional(),
    }),
    output: z.object({ model_version: ModelVersion }),
  }),
  delete: endpoint({
    method: 'DELETE',
    path: '/mlflow/model-versions/delete',
    summary: 'Delete a model version; its number is not given out again.',
    access: manageModel,
    effect: 'write',
    input: z.object(Version),
    output: z.object({}),
  }),
  get: endpoint({
    method: 'GET',
    path: '/mlflow/model-versions/get',
    summary: 'Get a model version.',
    access: readModel,
    effect: 'read',
    input: z.object(Version),
    output: z.object({ model_version: ModelVersion }),
  }),
  search: endpoint({
    method: 'GET',
    path: '/mlflow/model-versions/search',
    summary: 'Search model versions with a filter, ordered, page by page.',
    access: 'signed-in',
    effect: 'read',
    mayLag: true,
    input: z.object({
      filter: z.string().optional(),
      max_results: Int64.optional(),
      order_by: z.array(z.string()).optional(),
      page_token: z.string().optional(),
    }),
    output: z.object({
      model_versions: z.array(ModelVersion).optional(),
      next_page_token: NextPageToken,
    }),
  }),
  getDownloadUri: endpoint({
    method: 'GET',
    path: '/mlflow/model-versions/get-download-uri',
    summary: 'Say where the artifacts of a model version are.',
    access: readModel,
    effect: 'read',
    input: z.object(Version),
    output: z.object({ artifact_uri: z.string() }),
  }),
  setTag: endpoint({
    method: 'POST',
    path: '/mlflow/model-versions/set-tag',
    summary: 'Set a tag of a model version.',
    access: editModel,
    effect: 'write',
    input: z.object({ ...Version, ...KeyValue.shape }),
    output: z.object({}),
  }),
  deleteTag: endpoint({
    method: 'DELETE',
    path: '/mlflow/model-versions/delete-tag',
    summary: 'Delete a tag of a model version; there need be none.',
    access: editModel,
    effect: 'write',
    input: z.object({ ...Version, key: RequiredText }),
    output: z.object({}),
  }),
}
