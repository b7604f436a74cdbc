import { RUN_STATUSES } from '@millrace/api/runs'
import { type Expression, type RawBuilder, type Selectable, type SqlBool, sql } from 'kysely'
import type { Db } from '../db/dialect.ts'
import type { RunTable } from '../db/schema.ts'
import type { Comparison } from './filter.ts'
import type { RunOrder } from './order-by.ts'
import type { PageStart } from './page-token.ts'
import { type KeyIds, runConditions } from './run-conditions.ts'
import { missingLast, type SortColumn } from './sort-columns.ts'
import { readSortedRows, type SortedRow } from './sorted-page.ts'
import { allOf, isOneOf } from './test-conditions.ts'

/**
 * Exports `queryRuns`: one statement that answers any search of runs, on any database. Source of
 * the order: MLflow 3.17 `_get_orderby_clauses`.
 */

export type RunRow = Selectable<RunTable>

export type SortedRun = SortedRow<RunRow>

/** A search with everything looked up that its statements need. */
export interface RunSearch {
  /** At least one. */
  experiments: readonly number[]
  stages: readonly number[]
  comparisons: readonly Comparison[]
  order: readonly RunOrder[]
  keyIds: KeyIds
  /** What the caller may see. */
  visible: Expression<SqlBool>
}

/** A range of a value index: rows that are called `entry`. NaN is in none unless it is asked for. */
export interface EntryRange {
  table: 'metric_latest' | 'param' | 'tag'
  keyId: number
  condition: Expression<SqlBool>
  isNan?: boolean
}

export interface RunRange {
  start: PageStart
  limit: number
  /** What to look at instead of all runs of the experiments. */
  among?: { entries: EntryRange } | { ids: readonly number[] } | undefined
  /** Further conditions, on rows called `run`. */
  conditions?: readonly Expression<SqlBool>[]
}

export function queryRuns(
  db: Db,
  search: RunSearch,
  { start, limit, among, conditions = [] }: RunRange,
): Promise<SortedRun[]> {
  const { columns, joins } = runSortPlan(search)
  const source = runSource(search, among)
  const statement = {
    from: sql`${source.from} ${sql.join(joins, sql` `)}`,
    where: [
      ...source.where,
      ...conditions,
      ...runConditions(search.comparisons, search.keyIds),
      search.visible,
    ],
    sort: columns,
    start,
    limit,
  }
  const row = sql`${sql.table('run')}.*`
  const { order, experiments, stages } = search
  const isInIndexOrder = [order.length, experiments.length, stages.length].join() === '0,1,1'
  if (isInIndexOrder && among === undefined) {
    return readSortedRows<RunRow>(db, { ...statement, select: row })
  }
  return readSortedRows<RunRow>(db, { ...statement, select: row, sortedBy: RUN })
}

const RUN = { id: sql`${sql.ref('run.id')}`, table: sql`${sql.table('run')}` }

function runSource(
  { experiments, stages }: RunSearch,
  among: RunRange['among'],
): { from: RawBuilder<unknown>; where: Expression<SqlBool>[] } {
  const run = sql`${sql.table('run')}`
  if (among && 'entries' in among) {
    return {
      from: sql`${sql.table(among.entries.table)} as entry cross join ${run}`,
      where: [
        isInRange(among.entries, experiments),
        sql<SqlBool>`${sql.ref('run.id')} = ${sql.ref('entry.run')}`,
        ...isOf(sql.ref('run.experiment'), sql.ref('run.stage'), { experiments, stages }),
      ],
    }
  }
  if (among === undefined) {
    const scope = isOf(sql.ref('run.experiment'), sql.ref('run.stage'), { experiments, stages })
    return { from: run, where: scope }
  }
  // The plus keeps SQLite from reading the whole index of these columns instead of a few ids.
  const [experiment, stage] = [sql`+${sql.ref('run.experiment')}`, sql`+${sql.ref('run.stage')}`]
  const isListed = isOneOf(sql.ref('run.id'), among.ids)
  return { from: run, where: [isListed, ...isOf(experiment, stage, { experiments, stages })] }
}

function isOf(
  experiment: Expression<unknown>,
  stage: Expression<unknown>,
  { experiments, stages }: Pick<RunSearch, 'experiments' | 'stages'>,
): Expression<SqlBool>[] {
  return [isOneOf(experiment, experiments), isOneOf(stage, stages)]
}

/** The condition of a range, in a shape that the value index of its table serves. */
export function isInRange(
  { table, keyId, condition, isNan = false }: EntryRange,
  experiments: readonly number[],
): Expression<SqlBool> {
  const nan = sql<SqlBool>`${sql.ref('entry.is_nan')} = ${isNan ? 1 : 0}`
  return allOf([
    isOneOf(sql.ref('entry.experiment'), experiments),
    sql<SqlBool>`${sql.ref('entry.key')} = ${keyId}`,
    ...(table === 'metric_latest' ? [nan] : []),
    condition,
  ])
}

/** The sort columns of a search of runs and the joins that they read from. */
export function runSortPlan({ order, keyIds }: Pick<RunSearch, 'order' | 'keyIds'>): {
  columns: SortColumn[]
  joins: RawBuilder<unknown>[]
} {
  const columns: SortColumn[] = []
  const joins: RawBuilder<unknown>[] = []
  for (const [index, field] of order.entries()) {
    if (field.kind === 'attribute') {
      columns.push(...attributeColumns(field))
      continue
    }
    const alias = `sort${index}`
    joins.push(sortJoin(field.kind, alias, keyIds.get(field.key) ?? NO_KEY))
    columns.push(...entryColumns(field.kind, alias, field.descending))
  }
  if (!order.some(({ kind, key }) => kind === 'attribute' && key === 'start_time')) {
    columns.push({ expression: sql.ref('run.start_time'), type: 'number', descending: true })
  }
  columns.push({ expression: sql.ref('run.uuid'), type: 'text', descending: false })
  return { columns, joins }
}

/** Ids begin at one, so no row has this one. */
const NO_KEY = 0

function sortJoin(
  kind: 'metric' | 'param' | 'tag',
  alias: string,
  keyId: number,
): RawBuilder<unknown> {
  const table = kind === 'metric' ? 'metric_latest' : kind
  return sql`left join ${sql.table(table)} as ${sql.ref(alias)}
    on ${sql.ref(`${alias}.run`)} = ${sql.ref('run.id')} and ${sql.ref(`${alias}.key`)} = ${keyId}`
}

/** Metrics: values, then NaN, then runs without one; the others: values, then runs without one. */
function entryColumns(
  kind: 'metric' | 'param' | 'tag',
  alias: string,
  descending: boolean,
): SortColumn[] {
  const value = sql.ref(`${alias}.value`)
  const isNan = sql.ref(`${alias}.is_nan`)
  const type = kind === 'metric' ? 'number' : 'text'
  const group: SortColumn =
    kind === 'metric'
      ? {
          expression: sql`case when ${isNan} is null then 2 else ${isNan} end`,
          type: 'number',
          descending: false,
        }
      : missingLast(value)
  return [group, { expression: value, type, descending, nullable: true }]
}

const SORTED_STATUSES = [...RUN_STATUSES].sort()

function attributeColumns({ key, descending }: RunOrder): SortColumn[] {
  if (key === 'start_time') {
    return [{ expression: sql.ref('run.start_time'), type: 'number', descending }]
  }
  if (key === 'end_time') {
    const end = sql.ref('run.end_time')
    return [missingLast(end), { expression: end, type: 'number', descending, nullable: true }]
  }
  if (key === 'status') {
    const ranks = RUN_STATUSES.map(
      (name, index) =>
        sql`when ${sql.lit(index + 1)} then ${sql.lit(SORTED_STATUSES.indexOf(name))}`,
    )
    const rank = sql`case ${sql.ref('run.status')} ${sql.join(ranks, sql` `)} end`
    return [{ expression: rank, type: 'number', descending }]
  }
  const column = key === 'run_id' ? 'uuid' : key === 'run_name' ? 'name' : key
  return [{ expression: sql.ref(`run.${column}`), type: 'text', descending }]
}
