import { RUN_STATUSES } from '@millrace/api/runs'
import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely'
import type {
  AttributeComparison,
  Comparison,
  DatasetComparison,
  EntryComparison,
  ListTest,
  MetricComparison,
  TextTest,
} from './filter.ts'
import {
  ALWAYS,
  integerCondition,
  NEVER,
  numberCondition,
  textCondition,
} from './test-conditions.ts'
import { passesTextTest } from './text-test.ts'

/**
 * Exports the conditions of a filter on the rows of a table that is called `run` in the statement.
 * Source: MLflow 3.17 `_get_sqlalchemy_filter_clauses`.
 */

/** Ids of metric, param and tag names; a name without one is on no run. */
export type KeyIds = ReadonlyMap<string, number>

export function runConditions(
  comparisons: readonly Comparison[],
  keyIds: KeyIds,
): Expression<SqlBool>[] {
  return comparisons.map((comparison) => runCondition(comparison, keyIds))
}

function runCondition(comparison: Comparison, keyIds: KeyIds): Expression<SqlBool> {
  if (comparison.kind === 'attribute') return attributeCondition(comparison)
  if (comparison.kind === 'dataset') return datasetCondition(comparison)
  const keyId = keyIds.get(comparison.key)
  if (keyId === undefined) return comparison.comparator === 'IS NULL' ? ALWAYS : NEVER
  if (comparison.kind === 'metric') {
    const test = latestMetricCondition('metric_latest', comparison)
    return hasEntry('metric_latest', keyId, test)
  }
  return entryCondition(comparison, keyId)
}

/** Statements join some sixty tables at most. */
const JOINS_MAX = 20

/**
 * The same conditions as joins, one row each, with the run whose id `run` is: a database evaluates
 * joins in their order, so they can come before the row of the run is fetched. What cannot be a
 * join is a condition on `run` itself.
 */
export function entryProbes(
  comparisons: readonly Comparison[],
  keyIds: KeyIds,
  run: Expression<unknown>,
): { joins: RawBuilder<unknown>[]; where: Expression<SqlBool>[] } {
  const joins: RawBuilder<unknown>[] = []
  const where: Expression<SqlBool>[] = []
  for (const comparison of comparisons) {
    const { kind } = comparison
    const keyId = keyIds.get(comparison.key)
    const isEntry = kind === 'metric' || kind === 'param' || kind === 'tag'
    if (
      !isEntry ||
      keyId === undefined ||
      comparison.type === 'null' ||
      joins.length >= JOINS_MAX
    ) {
      where.push(runCondition(comparison, keyIds))
      continue
    }
    const alias = `probe${joins.length}`
    joins.push(sql`${sql.table(kind === 'metric' ? 'metric_latest' : kind)} as ${sql.ref(alias)}`)
    where.push(
      sql<SqlBool>`${sql.ref(`${alias}.run`)} = ${run}`,
      sql<SqlBool>`${sql.ref(`${alias}.key`)} = ${keyId}`,
      kind === 'metric'
        ? latestMetricCondition(alias, comparison)
        : textCondition(sql.ref(`${alias}.value`), comparison),
    )
  }
  return { joins, where }
}

/**
 * The test on a row of `metric_latest` called `alias`. NaN is stored as 0 and marked: it differs
 * from every number and passes no other test.
 */
export function latestMetricCondition(
  alias: string,
  comparison: MetricComparison,
): Expression<SqlBool> {
  const test = numberCondition(sql.ref(`${alias}.value`), comparison)
  const isNan = sql.ref(`${alias}.is_nan`)
  return comparison.comparator === '!='
    ? sql<SqlBool>`(${test} or ${isNan} = 1)`
    : sql<SqlBool>`(${test} and ${isNan} = 0)`
}

function entryCondition(comparison: EntryComparison, keyId: number): Expression<SqlBool> {
  const table = comparison.kind
  if (comparison.type === 'null') {
    const exists = hasEntry(table, keyId, ALWAYS)
    return comparison.comparator === 'IS NULL' ? sql<SqlBool>`not (${exists})` : exists
  }
  return hasEntry(table, keyId, textCondition(sql.ref(`${table}.value`), comparison))
}

function hasEntry(
  table: 'metric_latest' | 'param' | 'tag',
  keyId: number,
  test: Expression<SqlBool>,
): Expression<SqlBool> {
  const run = sql.ref(`${table}.run`)
  const key = sql.ref(`${table}.key`)
  // A value rather than `exists`: PostgreSQL would plan hundreds of those as joins, for minutes.
  return sql<SqlBool>`(select 1 from ${sql.table(table)}
    where ${run} = ${sql.ref('run.id')} and ${key} = ${keyId} and ${test}) is not null`
}

function datasetCondition({ key, ...test }: DatasetComparison): Expression<SqlBool> {
  const column = sql.ref(key === 'context' ? 'run_dataset.context' : `dataset.${key}`)
  return sql<SqlBool>`exists (select 1 from ${sql.table('run_dataset')}
    join ${sql.table('dataset')} on ${sql.ref('dataset.id')} = ${sql.ref('run_dataset.dataset')}
    where ${sql.ref('run_dataset.run')} = ${sql.ref('run.id')} and ${textCondition(column, test)})`
}

const COLUMN_BY_ATTRIBUTE: Readonly<Record<string, string>> = {
  run_id: 'run.uuid',
  run_name: 'run.name',
  user_id: 'run.user_id',
  artifact_uri: 'run.artifact_uri',
}

function attributeCondition(comparison: AttributeComparison): Expression<SqlBool> {
  if (comparison.type === 'number') {
    return integerCondition(sql.ref(`run.${comparison.key}`), comparison)
  }
  if (comparison.key === 'status') return statusCondition(comparison)
  return textCondition(sql.ref(COLUMN_BY_ATTRIBUTE[comparison.key] ?? 'run.uuid'), comparison)
}

/** Statuses are stored as numbers, from 1, and compared by their names. */
function statusCondition(test: TextTest | ListTest): Expression<SqlBool> {
  const numbers = RUN_STATUSES.flatMap((name, index) =>
    passesTextTest(name, test) ? [index + 1] : [],
  )
  if (numbers.length === 0) return NEVER
  return sql<SqlBool>`${sql.ref('run.status')} in (${sql.join(numbers)})`
}
