import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely'
import type { Db } from '../db/dialect.ts'
import {
  type PageStart,
  type PageTokenOwner,
  pageTokenAfter,
  parsePageToken,
  type SortValue,
} from './page-token.ts'
import { indexRange, rowsAfter, type SortColumn, sortBy } from './sort-columns.ts'
import { allOf } from './test-conditions.ts'

/**
 * Exports `readSortedRows`, one ordered statement, and `readPage`, which turns any such reading
 * into a page with a token.
 */

/** A row with what it was sorted by, which is what the next page begins after. */
export interface SortedRow<Row> {
  row: Row
  sortValues: SortValue[]
}

/** One page; there is a token when more rows follow. */
export interface Page<Row> {
  rows: Row[]
  nextPageToken: string | undefined
}

export interface SortedStatement {
  /** The columns of a row. */
  select: RawBuilder<unknown>
  from: RawBuilder<unknown>
  where: readonly Expression<SqlBool>[]
  /** The last one must make the order total. */
  sort: readonly SortColumn[]
  start: PageStart
  limit: number
  /**
   * The id of the row's table. With it the database sorts ids and fetches the rows of the page
   * alone: half the time where it has to sort, a little more where an index has the order.
   */
  sortedBy?: { id: RawBuilder<unknown>; table: RawBuilder<unknown> }
}

/** `Row` says what `select` selects. */
export async function readSortedRows<Row>(
  db: Db,
  { select, from, where, sort, start, limit, sortedBy }: SortedStatement,
): Promise<SortedRow<Row>[]> {
  const after = start && 'after' in start ? start.after : undefined
  const offset = start && 'offset' in start ? start.offset : 0
  const wanted = after ? [...where, indexRange(sort, after), rowsAfter(sort, after)] : where
  const sortValues = sql.join(
    sort.map(({ expression }, index) => sql`${expression} as ${sortName(index)}`),
  )
  const statement = (columns: RawBuilder<unknown>) => sql<Row & Record<string, unknown>>`
    select ${columns}, ${sortValues}
    from ${from}
    where ${allOf(wanted)}
    order by ${sortBy(sort)}
    limit ${limit} offset ${offset}`
  const query = sortedBy
    ? sql<Row & Record<string, unknown>>`
      select ${select}, ${sql.join(sort.map((_column, index) => sortName(index)))}
      from (${statement(sql`${sortedBy.id} as page_id`)}) as page cross join ${sortedBy.table}
      where ${sortedBy.id} = page_id
      order by ${sortBy(sort.map((column, index) => ({ ...column, expression: sortName(index) })))}`
    : statement(select)
  const { rows } = await query.execute(db)
  return rows.map((row) => takeSortValues(row, sort.length))
}

/** From the last to the first, which leaves the row in the engine's fast form. */
function takeSortValues<Row>(row: Row & Record<string, unknown>, count: number): SortedRow<Row> {
  const sortValues: SortValue[] = []
  for (let index = count - 1; index >= 0; index--) {
    const name = `sort_${index}`
    sortValues.unshift(row[name] as SortValue) // What sorts is a number, a text or null.
    delete row[name]
  }
  return { row, sortValues }
}

function sortName(index: number): RawBuilder<unknown> {
  return sql.ref(`sort_${index}`)
}

export interface PageRequest {
  owner: PageTokenOwner
  pageToken: string | undefined
  /** At least 1. */
  maxResults: number
}

/** Reads one row more than the page takes, to know whether another page follows. */
export async function readPage<Row>(
  { owner, pageToken, maxResults }: PageRequest,
  read: (start: PageStart, limit: number) => Promise<SortedRow<Row>[]>,
): Promise<Page<Row>> {
  const found = await read(parsePageToken(pageToken, owner), maxResults + 1)
  const page = found.slice(0, maxResults)
  const last = page.at(-1)
  const hasMore = found.length > maxResults && last !== undefined
  return {
    rows: page.map(({ row }) => row),
    nextPageToken: hasMore ? pageTokenAfter(last.sortValues, owner) : undefined,
  }
}
