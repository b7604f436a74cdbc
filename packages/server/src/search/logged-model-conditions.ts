import { type Expression, type SqlBool, sql } from 'kysely'
import { entryCondition } from './entry-conditions.ts'
import type { AttributeComparison, ListTest, MetricComparison, TextTest } from './filter.ts'
import type { LoggedModelComparison } from './grammar-logged-models.ts'
import { latestMetricCondition } from './run-conditions.ts'
import { allOf, integerCondition, isOneOf, NEVER, textCondition } from './test-conditions.ts'
import { passesTextTest } from './text-test.ts'

/**
 * Exports the conditions of a filter on logged models. Source: MLflow 3.17
 * `_apply_filter_string_datasets_search_logged_models`.
 */

export interface DatasetFilter {
  dataset_name: string
  dataset_digest?: string | undefined
}

/** What a metric was logged on; what is undefined may be anything. */
export type DatasetRestriction = { [Key in keyof DatasetFilter]?: string | undefined }

export function loggedModelConditions(
  comparisons: readonly LoggedModelComparison[],
  datasets: readonly DatasetFilter[],
): Expression<SqlBool>[] {
  const conditions = comparisons.map((comparison) => {
    if (comparison.kind === 'metric') return metricCondition(comparison, datasets)
    if (comparison.kind === 'attribute') return attributeCondition(comparison)
    const table = comparison.kind === 'param' ? 'logged_model_param' : 'logged_model_tag'
    return entryCondition(table, belongsToModel(table), comparison)
  })
  const asksForMetric = comparisons.some(({ kind }) => kind === 'metric')
  if (datasets.length > 0 && !asksForMetric) conditions.push(hasMetric([isOnOneOf(datasets)]))
  return conditions
}

/** Any point counts, not only the latest one. */
function metricCondition(
  comparison: MetricComparison,
  datasets: readonly DatasetFilter[],
): Expression<SqlBool> {
  return hasMetric([
    sql<SqlBool>`${sql.ref('logged_model_metric.key')} = ${comparison.key}`,
    latestMetricCondition('logged_model_metric', comparison),
    ...(datasets.length > 0 ? [isOnOneOf(datasets)] : []),
  ])
}

function hasMetric(conditions: readonly Expression<SqlBool>[]): Expression<SqlBool> {
  return sql<SqlBool>`exists (select 1 from ${sql.table('logged_model_metric')}
    where ${allOf([belongsToModel('logged_model_metric'), ...conditions])})`
}

function belongsToModel(table: string): Expression<SqlBool> {
  return sql<SqlBool>`${sql.ref(`${table}.model`)} = ${sql.ref('logged_model.id')}`
}

function isOnOneOf(datasets: readonly DatasetFilter[]): Expression<SqlBool> {
  const alternatives = datasets.map((dataset) => allOf(isOnDataset('logged_model_metric', dataset)))
  return sql<SqlBool>`(${sql.join(alternatives, sql` or `)})`
}

/** Conditions on metric rows called `alias`; nothing asked is no condition. */
export function isOnDataset(
  alias: string,
  { dataset_name, dataset_digest }: DatasetRestriction,
): Expression<SqlBool>[] {
  const asked = { dataset_name, dataset_digest }
  return Object.entries(asked).flatMap(([column, value]) =>
    value === undefined ? [] : [sql<SqlBool>`${sql.ref(`${alias}.${column}`)} = ${value}`],
  )
}

const COLUMN_BY_TIME: Readonly<Record<string, string>> = {
  creation_timestamp: 'creation_time',
  last_updated_timestamp: 'last_updated_time',
}

export function loggedModelColumn(attribute: string) {
  return sql.ref(`logged_model.${COLUMN_BY_TIME[attribute] ?? attribute}`)
}

function attributeCondition(comparison: AttributeComparison): Expression<SqlBool> {
  const column = loggedModelColumn(comparison.key)
  if (comparison.type === 'number') return integerCondition(column, comparison)
  if (comparison.key === 'status') return statusCondition(comparison)
  return textCondition(column, comparison)
}

/** MLflow's `LoggedModelStatus` from 1; names count with and without their prefix, and numbers. */
const STATUS_NAMES = ['PENDING', 'READY', 'UPLOAD_FAILED']

/** MLflow compares the number only, so that a name matches nothing there. */
function statusCondition(test: TextTest | ListTest): Expression<SqlBool> {
  const isNegative = test.comparator === '!=' || test.comparator === 'NOT IN'
  const numbers = STATUS_NAMES.flatMap((name, index) => {
    // Python's client calls the last one `FAILED`.
    const spellings = [name, name.replace('UPLOAD_', ''), `LOGGED_MODEL_${name}`, String(index + 1)]
    const passes = spellings.map((spelling) => passesTextTest(spelling, test))
    return (isNegative ? passes.every(Boolean) : passes.some(Boolean)) ? [index + 1] : []
  })
  return numbers.length === 0 ? NEVER : isOneOf(sql.ref('logged_model.status'), numbers)
}
