import { type Kysely, sql } from 'kysely'
import { type DatabaseKind, kindOf } from '../dialect.ts'
import type { Schema } from '../schema.ts'

/**
 * The tables of the first release. A column's type is a word of `TYPES`; `word` is a text short
 * enough for a key. An index on a `text` holds only the head of its value, where a database cannot
 * hold all of it.
 */
interface Table {
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

const TABLES: Table[] = [
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

const TYPES: Record<DatabaseKind, Record<string, string>> = {
  sqlite: {
    id: 'integer primary key',
    'unused-id': 'integer primary key autoincrement',
    int: 'integer',
    small: 'integer',
    double: 'real',
    blob: 'blob',
    key: 'text',
    word: 'text',
    'short-word': 'text',
    text: 'text',
    'long-text': 'text',
  },
  postgresql: {
    id: 'bigint generated by default as identity primary key',
    'unused-id': 'bigint generated by default as identity primary key',
    int: 'bigint',
    small: 'integer',
    double: 'double precision',
    blob: 'bytea',
    key: 'text collate "C"',
    word: 'text collate "C"',
    'short-word': 'text collate "C"',
    text: 'text collate "C"',
    'long-text': 'text collate "C"',
  },
  mysql: {
    id: 'bigint auto_increment primary key',
    'unused-id': 'bigint auto_increment primary key',
    int: 'bigint',
    small: 'int',
    double: 'double',
    blob: 'mediumblob',
    key: 'varchar(255)',
    word: 'varchar(500)',
    'short-word': 'varchar(64)',
    text: 'text',
    'long-text': 'longtext',
  },
}

/** Characters of a text that an index holds where it cannot hold them all. */
const INDEXED_HEAD = 400

/** Every statement leaves alone what is there, so that a migration cut short can run again. */
export async function up(db: Kysely<Schema>): Promise<void> {
  const kind = kindOf(db)
  const suffix = { sqlite: '', postgresql: '', mysql: await mysqlTableOptions(db, kind) }[kind]
  for (const table of TABLES) {
    const hasOwnKey = table.key === undefined
    const rowid = kind === 'sqlite' && !hasOwnKey ? ' without rowid' : ''
    const lines = [...columnLines(kind, table), ...constraintLines(kind, table)]
    const indexes = indexEntries(kind, table)
    if (kind === 'mysql') lines.push(...indexes.map(([name, list]) => `index ${name} (${list})`))
    const text = `create table if not exists ${table.name} (\n  ${lines.join(',\n  ')})${rowid}${suffix}`
    await sql.raw(inDialect(kind, text)).execute(db)
    if (kind === 'mysql') continue
    for (const [name, list] of indexes) {
      const index = `create index if not exists ${name} on ${table.name} (${list})`
      await sql.raw(inDialect(kind, index)).execute(db)
    }
  }
  if (kind === 'postgresql') await tunePostgres(db)
}

function columnLines(kind: DatabaseKind, { columns }: Table): string[] {
  return Object.entries(columns).map(([name, word]) => {
    const isNullable = word.endsWith('?')
    const type = TYPES[kind][isNullable ? word.slice(0, -1) : word]
    return `"${name}" ${type}${isNullable || word.endsWith('id') ? '' : ' not null'}`
  })
}

function constraintLines(kind: DatabaseKind, { key, unique, references = [] }: Table): string[] {
  return [
    ...(key ? [`primary key (${quoted(key)})`] : []),
    ...(unique ? [`unique (${quoted(unique)})`] : []),
    ...references.map(({ columns, table, to, cascades }) => {
      const action = cascades ? ' on delete cascade' : ''
      const target = kind === 'sqlite' ? table : `${table} (${quoted(to)})`
      return `foreign key (${quoted(columns)}) references ${target}${action}`
    }),
  ]
}

function indexEntries(kind: DatabaseKind, { columns, indexes = {} }: Table): [string, string][] {
  return Object.entries(indexes).map(([name, list]) => [
    name,
    list
      .map((entry) => {
        const [column = '', direction = ''] = entry.split(' ')
        const isLong = columns[column]?.endsWith('text') === true
        if (isLong && kind === 'postgresql') return `left("${column}", ${INDEXED_HEAD})`
        if (isLong && kind === 'mysql') return `"${column}"(${INDEXED_HEAD})`
        return `"${column}" ${direction}`.trim()
      })
      .join(', '),
  ])
}

function quoted(columns: readonly string[]): string {
  return columns.map((column) => `"${column}"`).join(', ')
}

function inDialect(kind: DatabaseKind, text: string): string {
  return kind === 'mysql' ? text.replaceAll('"', '`') : text
}

/** A collation that compares by code point and takes trailing spaces seriously. */
async function mysqlTableOptions(db: Kysely<Schema>, kind: DatabaseKind): Promise<string> {
  if (kind !== 'mysql') return ''
  const { rows } = await sql<{ version: string }>`select version() as version`.execute(db)
  const isMariaDb = /mariadb/i.test(rows[0]?.version ?? '')
  const collation = isMariaDb ? 'utf8mb4_nopad_bin' : 'utf8mb4_0900_bin'
  return ` engine=InnoDB default charset=utf8mb4 collate=${collation}`
}

/** Blocks are compressed already, and the tables of fresh points are rewritten all the time. */
async function tunePostgres(db: Kysely<Schema>): Promise<void> {
  for (const table of ['metric_tail', 'metric_chunk']) {
    await sql.raw(`alter table ${table} alter column data set storage external`).execute(db)
  }
  for (const table of ['metric_tail', 'metric_latest']) {
    const settings = 'autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05'
    await sql.raw(`alter table ${table} set (${settings})`).execute(db)
  }
}
