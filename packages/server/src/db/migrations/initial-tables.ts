/**
 * The tables of the first release. A column's type is a word of `TYPES`; `word` is a text short
 * enough for a key. An index on a `text` holds only the head of its value, where a database cannot
 * hold all of it.
 */
export interface Table {
  name: string
  columns: Record<string, string>
  /** Columns of the primary key; `id` is one by its type. */
  key?: string[]
  unique?: string[]
  references?: Reference[]
  indexes?: Record<string, string[]>
}

/** Columns that name a row of another table, and whether they go when that one does. */
interface Reference {
  columns: string[]
  table: string
  to: string[]
  cascades?: true
}

const experiment: Reference = { columns: ['experiment'], table: 'experiment', to: ['id'] }
const loggedModel: Reference = { columns: ['model'], table: 'logged_model', to: ['id'] }
const registeredModel: Reference = {
  columns: ['model'],
  table: 'registered_model',
  to: ['id'],
  cascades: true,
}

export const TABLES: Table[] = [
  { name: 'store', columns: { key: 'key', value: 'text' }, key: ['key'] },
  { name: 'key_name', columns: { id: 'id', name: 'key' }, unique: ['name'] },
  {
    name: 'experiment',
    columns: {
      id: 'unused-id',
      workspace: 'short-word',
      name: 'word',
      artifact_location: 'text',
      stage: 'small',
      creation_time: 'int',
      last_update_time: 'int',
    },
    unique: ['workspace', 'name'],
    indexes: { experiment_list: ['stage', 'creation_time desc', 'id'] },
  },
  {
    name: 'experiment_tag',
    columns: { experiment: 'int', key: 'key', value: 'long-text' },
    key: ['experiment', 'key'],
    references: [experiment],
  },
  {
    name: 'run',
    columns: {
      id: 'id',
      experiment: 'int',
      uuid: 'short-word',
      name: 'text',
      user_id: 'text',
      status: 'small',
      start_time: 'int',
      end_time: 'int?',
      artifact_uri: 'text',
      stage: 'small',
      deleted_time: 'int?',
    },
    unique: ['uuid'],
    references: [experiment],
    indexes: { run_list: ['experiment', 'stage', 'start_time desc', 'uuid'] },
  },
  {
    name: 'metric_tail',
    columns: {
      id: 'id',
      run: 'int',
      experiment: 'int',
      folded: 'small',
      n: 'small',
      data: 'blob',
    },
    indexes: { metric_tail_run: ['experiment', 'folded', 'run'] },
  },
  {
    name: 'metric_chunk',
    columns: {
      id: 'id',
      run: 'int',
      experiment: 'int',
      level: 'small',
      first_key: 'int',
      last_key: 'int',
      n: 'small',
      min_step: 'int',
      max_step: 'int',
      data: 'blob',
    },
    indexes: { metric_chunk_run: ['run', 'last_key', 'first_key'] },
  },
  {
    name: 'metric_latest',
    columns: {
      run: 'int',
      key: 'int',
      experiment: 'int',
      n: 'int',
      step: 'int',
      ts: 'int',
      value: 'double',
      is_nan: 'small',
      min: 'double?',
      max: 'double?',
      first: 'double',
      first_is_nan: 'small',
      first_step: 'int',
      first_ts: 'int',
    },
    key: ['run', 'key'],
    indexes: { metric_top: ['experiment', 'key', 'is_nan', 'value', 'run'] },
  },
  {
    name: 'param',
    columns: { run: 'int', key: 'int', experiment: 'int', value: 'text' },
    key: ['run', 'key'],
    indexes: { param_value: ['experiment', 'key', 'value', 'run'] },
  },
  {
    name: 'tag',
    columns: { run: 'int', key: 'int', experiment: 'int', value: 'text' },
    key: ['run', 'key'],
    indexes: { tag_value: ['experiment', 'key', 'value', 'run'] },
  },
  { name: 'run_doc', columns: { run: 'int', data: 'long-text' }, key: ['run'] },
  {
    name: 'dataset',
    columns: {
      id: 'id',
      experiment: 'int',
      name: 'word',
      digest: 'short-word',
      source_type: 'text',
      source: 'long-text',
      schema: 'long-text?',
      profile: 'long-text?',
    },
    unique: ['experiment', 'name', 'digest'],
    references: [experiment],
  },
  {
    name: 'run_dataset',
    columns: { run: 'int', dataset: 'int', experiment: 'int', context: 'text?' },
    key: ['run', 'dataset'],
    references: [{ columns: ['dataset'], table: 'dataset', to: ['id'] }],
    indexes: { run_dataset_by_dataset: ['dataset', 'run'] },
  },
  {
    name: 'run_dataset_tag',
    columns: { run: 'int', dataset: 'int', key: 'key', value: 'text' },
    key: ['run', 'dataset', 'key'],
  },
  {
    name: 'run_model',
    columns: { run: 'int', model_id: 'word', direction: 'short-word', step: 'int' },
    key: ['run', 'direction', 'model_id'],
    indexes: { run_model_by_model: ['model_id', 'run'] },
  },
  {
    name: 'logged_model',
    columns: {
      id: 'id',
      model_id: 'short-word',
      experiment: 'int',
      name: 'text',
      artifact_location: 'text',
      creation_time: 'int',
      last_updated_time: 'int',
      status: 'small',
      status_message: 'text?',
      model_type: 'text',
      source_run_id: 'word',
      stage: 'small',
    },
    unique: ['model_id'],
    references: [experiment],
    indexes: {
      logged_model_list: ['experiment', 'stage', 'creation_time desc', 'model_id'],
      logged_model_by_run: ['source_run_id'],
    },
  },
  {
    name: 'logged_model_param',
    columns: { model: 'int', key: 'key', experiment: 'int', value: 'long-text' },
    key: ['model', 'key'],
    references: [loggedModel],
    indexes: { logged_model_param_value: ['experiment', 'key', 'value', 'model'] },
  },
  {
    name: 'logged_model_tag',
    columns: { model: 'int', key: 'key', experiment: 'int', value: 'long-text' },
    key: ['model', 'key'],
    references: [loggedModel],
    indexes: { logged_model_tag_value: ['experiment', 'key', 'value', 'model'] },
  },
  {
    name: 'logged_model_metric',
    columns: {
      model: 'int',
      key: 'key',
      ts: 'int',
      step: 'int',
      run_id: 'short-word',
      experiment: 'int',
      value: 'double',
      is_nan: 'small',
      dataset_name: 'text?',
      dataset_digest: 'text?',
    },
    key: ['model', 'key', 'ts', 'step', 'run_id'],
    references: [loggedModel],
    indexes: { logged_model_metric_value: ['experiment', 'key', 'value', 'model'] },
  },
  {
    name: 'registered_model',
    columns: {
      id: 'id',
      workspace: 'short-word',
      name: 'word',
      description: 'long-text?',
      creation_time: 'int',
      last_updated_time: 'int',
      last_version: 'int',
      is_prompt: 'small',
    },
    unique: ['workspace', 'name'],
  },
  {
    name: 'registered_model_tag',
    columns: { model: 'int', key: 'key', value: 'long-text' },
    key: ['model', 'key'],
    references: [registeredModel],
  },
  {
    name: 'registered_model_alias',
    columns: { model: 'int', alias: 'word', version: 'int' },
    key: ['model', 'alias'],
    references: [registeredModel],
  },
  {
    name: 'model_version',
    columns: {
      model: 'int',
      version: 'int',
      description: 'long-text?',
      creation_time: 'int',
      last_updated_time: 'int',
      stage: 'short-word',
      source: 'text',
      storage_location: 'text',
      run_id: 'word',
      run_link: 'text',
      model_id: 'text?',
      user_id: 'text?',
      status: 'text',
      status_message: 'text?',
    },
    key: ['model', 'version'],
    references: [registeredModel],
    indexes: {
      model_version_by_run: ['run_id'],
      model_version_latest: ['model', 'stage', 'version'],
      model_version_list: ['last_updated_time desc', 'model', 'version desc'],
    },
  },
  {
    name: 'model_version_tag',
    columns: { model: 'int', version: 'int', key: 'key', value: 'long-text' },
    key: ['model', 'version', 'key'],
    references: [
      {
        columns: ['model', 'version'],
        table: 'model_version',
        to: ['model', 'version'],
        cascades: true,
      },
    ],
    indexes: { model_version_tag_value: ['key', 'value', 'model', 'version'] },
  },
]
