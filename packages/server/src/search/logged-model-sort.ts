import { type RawBuilder, sql } from 'kysely'
import { isOnDataset, loggedModelColumn } from './logged-model-conditions.ts'
import type { LoggedModelOrder } from './order-by.ts'
import type { SortColumn } from './sort-columns.ts'
import { allOf, isOneOf } from './test-conditions.ts'

/**
 * Exports the order of a search of logged models. A metric sorts by its latest point, NaN after all
 * values and models without one last. Source: MLflow 3.17 `_apply_order_by_search_logged_models`.
 */

export function loggedModelSort(
  order: readonly LoggedModelOrder[],
  experiments: readonly number[],
): {
  columns: SortColumn[]
  joins: RawBuilder<unknown>[]
} {
  const columns: SortColumn[] = []
  const joins: RawBuilder<unknown>[] = []
  for (const [index, field] of order.entries()) {
    if (field.kind === 'attribute') {
      columns.push(attributeColumn(field.key, field.descending))
      continue
    }
    const alias = `sort${index}`
    joins.push(latestMetricJoin(alias, field, experiments))
    const isNan = sql.ref(`${alias}.is_nan`)
    columns.push(
      {
        expression: sql`case when ${isNan} is null then 2 else ${isNan} end`,
        type: 'number',
        descending: false,
      },
      {
        expression: sql.ref(`${alias}.value`),
        type: 'number',
        descending: field.descending,
        nullable: true,
      },
    )
  }
  const named = new Set(order.map(({ key, kind }) => (kind === 'attribute' ? key : undefined)))
  if (!named.has('creation_timestamp')) columns.push(attributeColumn('creation_timestamp', true))
  if (!named.has('model_id')) columns.push(attributeColumn('model_id', false))
  return { columns, joins }
}

const NUMBER_ATTRIBUTES = ['status', 'creation_timestamp', 'last_updated_timestamp']

function attributeColumn(key: string, descending: boolean): SortColumn {
  return {
    expression: loggedModelColumn(key),
    type: NUMBER_ATTRIBUTES.includes(key) ? 'number' : 'text',
    descending,
  }
}

function latestMetricJoin(
  alias: string,
  { key, dataset_name, dataset_digest }: LoggedModelOrder & { kind: 'metric' },
  experiments: readonly number[],
): RawBuilder<unknown> {
  const metric = (column: string) => sql.ref(`point.${column}`)
  const wanted = allOf([
    isOneOf(metric('experiment'), experiments),
    sql`${metric('key')} = ${key}`,
    ...isOnDataset('point', { dataset_name, dataset_digest }),
  ])
  return sql`left join (
      select ${metric('model')}, ${metric('value')}, ${metric('is_nan')},
        row_number() over (partition by ${metric('model')} order by ${metric('ts')} desc,
          ${metric('step')} desc, ${metric('run_id')}) as place
      from ${sql.table('logged_model_metric')} as point
      where ${wanted}
    ) as ${sql.ref(alias)}
    on ${sql.ref(`${alias}.model`)} = ${sql.ref('logged_model.id')} and ${sql.ref(`${alias}.place`)} = 1`
}
