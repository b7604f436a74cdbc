import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { ModelVersion } from './model-versions.ts'
import { Int64, KeyValue, KeyValueOut, NextPageToken, RequiredId, RequiredText } from './wire.ts'

export const RegisteredModel = z.object({
  name: z.string(),
  creation_timestamp: Int64,
  last_updated_timestamp: Int64,
  description: z.string().optional(),
  /** The highest version of each stage. */
  latest_versions: z.array(ModelVersion).optional(),
  tags: z.array(KeyValueOut).optional(),
  aliases: z.array(z.object({ alias: z.string(), version: z.string() })).optional(),
})
export type RegisteredModel = z.output<typeof RegisteredModel>

/** Most registered models a page may hold. */
export const REGISTERED_MODELS_PAGE_MAX = 1000

const readModel = { permission: 'READ', on: 'registered_model', field: 'name' } as const
const editModel = { permission: 'EDIT', on: 'registered_model', field: 'name' } as const
const manageModel = { permission: 'MANAGE', on: 'registered_model', field: 'name' } as const

const Page = z.object({
  registered_models: z.array(RegisteredModel).optional(),
  next_page_token: NextPageToken,
})

export const registeredModels = {
  create: endpoint({
    method: 'POST',
    path: '/mlflow/registered-models/create',
    summary: 'Create a registered model, or a prompt, with a name that no other one has.',
    access: { create: 'registered_model' },
    effect: 'write',
    makesNew: true,
    input: z.object({
      name: RequiredText,
      tags: z.array(KeyValue).optional(),
      description: z.string().optional(),
    }),
    output: z.object({ registered_model: RegisteredModel }),
  }),
  rename: endpoint({
    method: 'POST',
    path: '/mlflow/registered-models/rename',
    summary: 'Rename a registered model with its versions, tags and aliases.',
    access: editModel,
    effect: 'write',
    input: z.object({ name: RequiredText, new_name: RequiredText }),
    output: z.object({ registered_model: RegisteredModel }),
  }),
  update: endpoint({
    method: 'PATCH',
    path: '/mlflow/registered-models/update',
    summary: 'Change the description of a registered model; without one it is removed.',
    access: editModel,
    effect: 'write',
    input: z.object({ name: RequiredText, description: z.string().optional() }),
    output: z.object({ registered_model: RegisteredModel }),
  }),
  delete: endpoint({
    method: 'DELETE',
    path: '/mlflow/registered-models/delete',
    summary: 'Delete a registered model with its versions, tags and aliases.',
    access: manageModel,
    effect: 'write',
    input: z.object({ name: RequiredText }),
    output: z.object({}),
  }),
  get: endpoint({
    method: 'GET',
    path: '/mlflow/registered-models/get',
    summary: 'Get a registered model with its aliases and the latest version of each stage.',
    access: readModel,
    effect: 'read',
    input: z.object({ name: RequiredText }),
    output: z.object({ registered_model: RegisteredModel }),
  }),
  search: endpoint({
    method: 'GET',
    path: '/mlflow/registered-models/search',
    summary: 'Search registered models with a filter; prompts only when the filter asks for them.',
    access: 'signed-in',
    effect: 'read',
    mayLag: true,
    input: z.object({
      filter: z.string().optional(),
      max_results: Int64.optional(),
      order_by: z.array(z.string()).optional(),
      page_token: z.string().optional(),
    }),
    output: Page,
  }),
  list: endpoint({
    method: 'GET',
    path: '/mlflow/registered-models/list',
    summary: 'List registered models by name, as 1.x clients do.',
    access: 'signed-in',
    effect: 'read',
    input: z.object({ max_results: Int64.optional(), page_token: z.string().optional() }),
    output: Page,
  }),
  getLatestVersions: endpoint({
    method: ['POST', 'GET'],
    path: '/mlflow/registered-models/get-latest-versions',
    summary: 'Get the highest version of a registered model in each of some stages, or in all.',
    access: readModel,
    effect: 'read',
    input: z.object({ name: RequiredText, stages: z.array(z.string()).optional() }),
    output: z.object({ model_versions: z.array(ModelVersion).optional() }),
  }),
  setTag: endpoint({
    method: 'POST',
    path: '/mlflow/registered-models/set-tag',
    summary: 'Set a tag of a registered model.',
    access: editModel,
    effect: 'write',
    input: z.object({ name: RequiredText, ...KeyValue.shape }),
    output: z.object({}),
  }),
  deleteTag: endpoint({
    method: 'DELETE',
    path: '/mlflow/registered-models/delete-tag',
    summary: 'Delete a tag of a registered model; there need be none.',
    access: editModel,
    effect: 'write',
    input: z.object({ name: RequiredText, key: RequiredText }),
    output: z.object({}),
  }),
  setAlias: endpoint({
    method: 'POST',
    path: '/mlflow/registered-models/alias',
    summary: 'Let an alias name a version, and no other version any more.',
    access: editModel,
    effect: 'write',
    input: z.object({ name: RequiredText, alias: RequiredText, version: RequiredId }),
    output: z.object({}),
  }),
  deleteAlias: endpoint({
    method: 'DELETE',
    path: '/mlflow/registered-models/alias',
    summary: 'Delete an alias; there need be none.',
    access: editModel,
    effect: 'write',
    input: z.object({ name: RequiredText, alias: RequiredText }),
    output: z.object({}),
  }),
  getVersionByAlias: endpoint({
    method: 'GET',
    path: '/mlflow/registered-models/alias',
    summary: 'Get the version that an alias names; `latest` is the highest one.',
    access: readModel,
    effect: 'read',
    input: z.object({ name: RequiredText, alias: RequiredText }),
    output: z.object({ model_version: ModelVersion }),
  }),
}
