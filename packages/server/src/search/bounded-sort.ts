import { type Expression, type SqlBool, sql } from 'kysely'
import { type Db, indexedColumn } from '../db/dialect.ts'
import type { SortValue } from './page-token.ts'
import {
  type EntryRange,
  isInRange,
  queryRuns,
  type RunRange,
  type RunSearch,
  type SortedRun,
} from './run-general-query.ts'
import { allOf, isOneOf } from './test-conditions.ts'

/**
 * Exports `sortBounded`: pages of an order that an index has no more than the first key of. The
 * index tells a value of that key which enough runs come before, and only those are sorted.
 */

/** How far along the index the bound is looked for, in pages. */
const PAGES_TRIED = [2, 16, 128]
/** Sorting so many entries costs as much as sorting a whole experiment of that size. */
const ENTRIES_MAX = 20_000

/**
 * The rows that `queryRuns` would read; undefined where the index does not help: the page is among
 * runs without a value, or the filter leaves too few of those that come first.
 */
export async function sortBounded(
  db: Db,
  search: RunSearch,
  after: readonly SortValue[] | undefined,
  limit: number,
): Promise<SortedRun[] | undefined> {
  const [experiment, ...others] = search.experiments
  const bounds = experiment === undefined || others.length > 0 ? undefined : boundsOf(search, after)
  if (bounds === undefined) return undefined
  const start = after && { after }
  let previous: SortValue | undefined
  for (const pages of PAGES_TRIED) {
    const count = pages * limit
    if (count > ENTRIES_MAX) return undefined
    const bound = await bounds.find(db, count)
    if (bound === undefined) return undefined
    if (bound === previous) continue
    previous = bound
    const rows = await queryRuns(db, search, { start, limit, ...bounds.within(db, bound) })
    if (rows.length >= limit) return rows
  }
  return undefined
}

/** Where the first key of an order is looked up. */
interface Bounds {
  /** The value that this many rows do not come after; undefined when there are not so many. */
  find(db: Db, count: number): Promise<SortValue | undefined>
  /** The rows that do not come after that value. */
  within(db: Db, bound: SortValue): Pick<RunRange, 'among' | 'conditions'>
}

function boundsOf(search: RunSearch, after: readonly SortValue[] | undefined): Bounds | undefined {
  const [field] = search.order
  if (field === undefined) return undefined
  const { descending } = field
  if (field.kind === 'attribute') {
    if (field.key === 'start_time') {
      return runBounds(search, { column: 'start_time', descending, from: after?.[0] })
    }
    if (field.key === 'run_name') {
      return runBounds(search, { column: 'name', descending, from: after?.[0] })
    }
    // Runs that have ended come first.
    if (field.key !== 'end_time' || (after !== undefined && after[0] !== 0)) return undefined
    return runBounds(search, { column: 'end_time', descending, from: after?.[1] })
  }
  const keyId = search.keyIds.get(field.key)
  // Runs of the first group have a value, and it is a number.
  if (keyId === undefined || (after !== undefined && after[0] !== 0)) return undefined
  const table = field.kind === 'metric' ? 'metric_latest' : field.kind
  return entryBounds(search, { table, keyId, descending, from: after?.[1] })
}

function entryBounds(
  { experiments }: RunSearch,
  options: Pick<EntryRange, 'table' | 'keyId'> & {
    descending: boolean
    from: SortValue | undefined
  },
): Bounds {
  const { table, keyId, descending, from } = options
  const isText = table !== 'metric_latest'
  const value = indexedColumn({ alias: 'entry', column: 'value', isText, key: ['run', 'key'] })
  const begin = (db: Db) => (from === undefined ? [] : [value.isFrom(db, from, descending)])
  const range = (condition: Expression<SqlBool>): EntryRange => ({ table, keyId, condition })
  return {
    find: (db, count) =>
      value.nth(db, {
        table: sql.table(table),
        where: isInRange(range(allOf(begin(db))), experiments),
        descending,
        count,
      }),
    within: (db, bound) => ({
      among: { entries: range(allOf([...begin(db), value.isFrom(db, bound, !descending)])) },
    }),
  }
}

interface RunColumn {
  column: 'start_time' | 'end_time' | 'name'
  descending: boolean
  from: SortValue | undefined
}

/** Undefined for times of several stages: their indexes have stages apart, that of names together. */
function runBounds(
  { experiments, stages }: RunSearch,
  { column, descending, from }: RunColumn,
): Bounds | undefined {
  const isText = column === 'name'
  if (!isText && stages.length > 1) return undefined
  const value = indexedColumn({ alias: 'run', column, isText, key: ['id'] })
  const begin = (db: Db) => (from === undefined ? [] : [value.isFrom(db, from, descending)])
  const isSet = sql<SqlBool>`${sql.ref(`run.${column}`)} is not null`
  const scope = [
    isOneOf(sql.ref('run.experiment'), experiments),
    ...(isText ? [] : [isOneOf(sql.ref('run.stage'), stages), isSet]),
  ]
  return {
    find: (db, count) =>
      value.nth(db, {
        table: sql.table('run'),
        where: allOf([...scope, ...begin(db)]),
        descending,
        count,
      }),
    within: (db, bound) => ({ conditions: [...begin(db), value.isFrom(db, bound, !descending)] }),
  }
}
