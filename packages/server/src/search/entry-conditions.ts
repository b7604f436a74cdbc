import { type Expression, type SqlBool, sql } from 'kysely'
import type { EntryComparison } from './filter.ts'
import { ALWAYS, textCondition } from './test-conditions.ts'

/**
 * Exports the condition of a clause about a tag or param of anything but a run: there the keys are
 * text in the table itself. What is compared must exist, except for IS NULL.
 */

type EntryTable =
  | 'experiment_tag'
  | 'registered_model_tag'
  | 'model_version_tag'
  | 'logged_model_param'
  | 'logged_model_tag'

/** `belongs` ties rows of the table to the row that is searched for. */
export function entryCondition(
  table: EntryTable,
  belongs: Expression<SqlBool>,
  comparison: EntryComparison,
): Expression<SqlBool> {
  const test =
    comparison.type === 'null' ? ALWAYS : textCondition(sql.ref(`${table}.value`), comparison)
  const exists = sql<SqlBool>`exists (select 1 from ${sql.table(table)}
    where ${belongs} and ${sql.ref(`${table}.key`)} = ${comparison.key} and ${test})`
  return comparison.comparator === 'IS NULL' ? sql<SqlBool>`not ${exists}` : exists
}
