import { sql } from 'kysely'
import type { Db } from '../db/dialect.ts'
import type { Comparison } from './filter.ts'
import { type EntryRange, isInRange, type RunSearch } from './run-general-query.ts'
import { numberCondition, textCondition } from './test-conditions.ts'

/**
 * Exports `findRareRuns`: when a clause of the filter leaves few runs, reading just those and
 * sorting them beats walking any order.
 */

/** Measured: reading and sorting so many runs costs what walking past 10 000 others does. */
const RARE_MAX = 500
const CLAUSES_TRIED_MAX = 4
/** Each experiment is a range of its own in the value indexes. */
const EXPERIMENTS_MAX = 50

/**
 * Ids of at most `RARE_MAX` runs that hold all that a search can find, or undefined when no clause
 * is that rare. Reads entries of one value index, until a clause turns out not to be rare.
 */
export async function findRareRuns(
  db: Db,
  search: RunSearch,
): Promise<readonly number[] | undefined> {
  if (search.experiments.length > EXPERIMENTS_MAX) return undefined
  const ranges = search.comparisons.flatMap((comparison) => toRange(comparison, search))
  for (const range of ranges.slice(0, CLAUSES_TRIED_MAX)) {
    const { rows } = await sql<{ run: number }>`
      select ${sql.ref('entry.run')} from ${sql.table(range.table)} as entry
      where ${isInRange(range, search.experiments)}
      limit ${RARE_MAX + 1}`.execute(db)
    if (rows.length <= RARE_MAX) return rows.map(({ run }) => run)
  }
  return undefined
}

/** Clauses that most runs pass are not worth the look. */
function toRange(comparison: Comparison, { keyIds }: RunSearch): EntryRange[] {
  if (comparison.kind === 'attribute' || comparison.kind === 'dataset') return []
  const keyId = keyIds.get(comparison.key)
  const { comparator } = comparison
  if (keyId === undefined || comparator === '!=' || comparator === 'NOT IN') return []
  const value = sql.ref('entry.value')
  if (comparison.kind === 'metric') {
    return [{ table: 'metric_latest', keyId, condition: numberCondition(value, comparison) }]
  }
  if (comparison.type === 'null') return []
  return [{ table: comparison.kind, keyId, condition: textCondition(value, comparison) }]
}
