import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import {
  Id,
  Int64,
  KeyValue,
  KeyValueOut,
  lenientEnum,
  NextPageToken,
  RequiredId,
  RequiredText,
} from './wire.ts'

/** MLflow's `ViewType`. */
export const ViewType = lenientEnum(['ACTIVE_ONLY', 'DELETED_ONLY', 'ALL'], 1)

export const LifecycleStage = z.enum(['active', 'deleted'])

export const Experiment = z.object({
  experiment_id: z.string(),
  name: z.string(),
  artifact_location: z.string(),
  lifecycle_stage: LifecycleStage,
  creation_time: Int64,
  last_update_time: Int64,
  workspace: z.string(),
  tags: z.array(KeyValueOut).optional(),
})
export type Experiment = z.output<typeof Experiment>

const SearchInput = z.object({
  max_results: Int64.optional(),
  page_token: z.string().optional(),
  filter: z.string().optional(),
  order_by: z.array(z.string()).optional(),
  view_type: ViewType.optional(),
})

const Page = z.object({
  experiments: z.array(Experiment).optional(),
  next_page_token: NextPageToken,
})

export const experiments = {
  create: endpoint({
    method: 'POST',
    path: '/mlflow/experiments/create',
    summary: 'Create an experiment with a name that no other one has, deleted ones included.',
    access: { create: 'experiment' },
    effect: 'write',
    makesNew: true,
    input: z.object({
      name: RequiredText,
      artifact_location: z.string().optional(),
      tags: z.array(KeyValue).optional(),
    }),
    output: z.object({ experiment_id: z.string() }),
  }),
  search: endpoint({
    method: ['POST', 'GET'],
    path: '/mlflow/experiments/search',
    summary: 'Search experiments with a filter, page by page.',
    access: 'signed-in',
    effect: 'read',
    mayLag: true,
    input: SearchInput,
    output: Page,
  }),
  list: endpoint({
    method: 'GET',
    path: '/mlflow/experiments/list',
    summary: 'List experiments as 1.x clients do; without `max_results` all of them at once.',
    access: 'signed-in',
    effect: 'read',
    mayLag: true,
    input: z.object({
      view_type: ViewType.optional(),
      max_results: Int64.optional(),
      page_token: z.string().optional(),
    }),
    output: Page,
  }),
  get: endpoint({
    method: 'GET',
    path: '/mlflow/experiments/get',
    summary: 'Get an experiment by its id, deleted ones included.',
    access: { permission: 'READ', on: 'experiment', field: 'experiment_id' },
    effect: 'read',
    input: z.object({ experiment_id: RequiredId }),
    output: z.object({ experiment: Experiment }),
  }),
  getByName: endpoint({
    method: 'GET',
    path: '/mlflow/experiments/get-by-name',
    summary: 'Get an experiment by its name.',
    access: 'signed-in',
    effect: 'read',
    input: z.object({ experiment_name: RequiredText }),
    output: z.object({ experiment: Experiment }),
  }),
  update: endpoint({
    method: 'POST',
    path: '/mlflow/experiments/update',
    summary: 'Rename an active experiment.',
    access: { permission: 'EDIT', on: 'experiment', field: 'experiment_id' },
    effect: 'write',
    input: z.object({ experiment_id: RequiredId, new_name: RequiredText }),
    output: z.object({}),
  }),
  delete: endpoint({
    method: 'POST',
    path: '/mlflow/experiments/delete',
    summary: 'Put an experiment and its active runs in the bin.',
    access: { permission: 'MANAGE', on: 'experiment', field: 'experiment_id' },
    effect: 'write',
    input: z.object({ experiment_id: RequiredId }),
    output: z.object({}),
  }),
  restore: endpoint({
    method: 'POST',
    path: '/mlflow/experiments/restore',
    summary: 'Take a deleted experiment and all of its runs out of the bin.',
    access: { permission: 'MANAGE', on: 'experiment', field: 'experiment_id' },
    effect: 'write',
    input: z.object({ experiment_id: RequiredId }),
    output: z.object({}),
  }),
  setTag: endpoint({
    method: 'POST',
    path: '/mlflow/experiments/set-experiment-tag',
    summary: 'Set a tag of an active experiment.',
    access: { permission: 'EDIT', on: 'experiment', field: 'experiment_id' },
    effect: 'write',
    input: z.object({ experiment_id: RequiredId, key: RequiredText, value: z.string().optional() }),
    output: z.object({}),
  }),
  deleteTag: endpoint({
    method: 'POST',
    path: '/mlflow/experiments/delete-experiment-tag',
    summary: 'Delete a tag of an active experiment.',
    access: { permission: 'EDIT', on: 'experiment', field: 'experiment_id' },
    effect: 'write',
    input: z.object({ experiment_id: RequiredId, key: RequiredText }),
    output: z.object({}),
  }),
  searchDatasets: endpoint({
    method: 'POST',
    path: '/mlflow/experiments/search-datasets',
    summary: 'List the distinct datasets that runs of some experiments used.',
    access: { permission: 'READ', on: 'experiment', field: 'experiment_ids' },
    effect: 'read',
    input: z.object({ experiment_ids: z.array(Id).optional() }),
    output: z.object({
      dataset_summaries: z
        .array(
          z.object({
            experiment_id: z.string(),
            name: z.string(),
            digest: z.string(),
            context: z.string().optional(),
          }),
        )
        .optional(),
    }),
  }),
}

/** Most experiments a page may hold. */
export const EXPERIMENTS_PAGE_MAX = 50_000
