import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely'
import type { SortValue } from './page-token.ts'

/**
 * Exports ordering and paging over any list of columns: `sortBy` makes the ORDER BY, `rowsAfter`
 * the condition for the rows behind a given one.
 */

export interface SortColumn {
  expression: Expression<unknown>
  type: 'number' | 'text'
  descending: boolean
  /** Position of missing values last: then the column before must tell them from the others. */
  nullable?: true
}

/** A column of 0 where `expression` has a value and 1 where it has none. */
export function missingLast(expression: Expression<unknown>): SortColumn {
  return {
    expression: sql`case when ${expression} is null then 1 else 0 end`,
    type: 'number',
    descending: false,
  }
}

export function sortBy(columns: readonly SortColumn[]): RawBuilder<unknown> {
  return sql.join(
    columns.map(({ expression, descending }) =>
      descending ? sql`${expression} desc` : sql`${expression}`,
    ),
  )
}

/** Rows that come after the one with these sort values, in the order of the columns. */
export function rowsAfter(
  columns: readonly SortColumn[],
  values: readonly SortValue[],
): Expression<SqlBool> {
  let condition: Expression<SqlBool> | undefined
  for (let index = columns.length - 1; index >= 0; index--) {
    const column = columns[index]
    const value = values[index]
    // All missing values are equal, and the column before has set them apart from the others.
    if (column === undefined || value === undefined || value === null) continue
    const { expression, descending } = column
    const beyond = descending
      ? sql<SqlBool>`${expression} < ${value}`
      : sql<SqlBool>`${expression} > ${value}`
    condition =
      condition === undefined
        ? beyond
        : sql<SqlBool>`(${beyond} or (${expression} = ${value} and ${condition}))`
  }
  return condition ?? sql<SqlBool>`1 = 0`
}

/**
 * The range of the first column that holds all rows after the given one; implied by `rowsAfter`,
 * and what an index can start at.
 */
export function indexRange(
  [column]: readonly SortColumn[],
  [value]: readonly SortValue[],
): Expression<SqlBool> {
  if (column === undefined || value === undefined || value === null) return sql<SqlBool>`1 = 1`
  return column.descending
    ? sql<SqlBool>`${column.expression} <= ${value}`
    : sql<SqlBool>`${column.expression} >= ${value}`
}
