import { sql } from 'kysely'
import type { Db } from '../db/dialect.ts'
import type { Comparison } from './filter.ts'
import type { RunDriver, RunSearch } from './run-general-query.ts'
import { isOneOf, numberCondition, textCondition } from './test-conditions.ts'

/**
 * Exports `findRareDriver`: the clause that leaves so few runs that reading just those and sorting
 * them beats walking any order.
 */

/** Measured: reading and sorting so many runs costs what walking past 10 000 others does. */
const RARE_MAX = 500
const CLAUSES_TRIED_MAX = 4
/** Each experiment is a range of its own in the value indexes. */
const EXPERIMENTS_MAX = 50

/** Looks at index entries only, and at no more than `RARE_MAX` of a clause. */
export async function findRareDriver(db: Db, search: RunSearch): Promise<RunDriver | undefined> {
  if (search.experiments.length > EXPERIMENTS_MAX) return undefined
  const drivers = search.comparisons.flatMap((comparison) => toDriver(comparison, search))
  for (const driver of drivers.slice(0, CLAUSES_TRIED_MAX)) {
    if ((await countUpTo(db, driver, search.experiments)) <= RARE_MAX) return driver
  }
  return undefined
}

function toDriver(comparison: Comparison, { keyIds }: RunSearch): RunDriver[] {
  if (comparison.kind === 'attribute' || comparison.kind === 'dataset') return []
  const keyId = keyIds.get(comparison.key)
  const isRange = comparison.comparator === '=' || /^[<>]/.test(comparison.comparator)
  if (keyId === undefined || !isRange) return []
  const value = sql.ref('driver.value')
  if (comparison.kind === 'metric') {
    const condition = sql<boolean>`${sql.ref('driver.is_nan')} = 0
      and ${numberCondition(value, comparison)}`
    return [{ table: 'metric_latest', keyId, condition }]
  }
  if (comparison.type === 'null') return []
  return [{ table: comparison.kind, keyId, condition: textCondition(value, comparison) }]
}

async function countUpTo(
  db: Db,
  { table, keyId, condition }: RunDriver,
  experiments: readonly number[],
): Promise<number> {
  const { rows } = await sql<{ n: number | string | bigint }>`
    select count(*) as n from (
      select 1 from ${sql.table(table)} as driver
      where ${isOneOf(sql.ref('driver.experiment'), experiments)}
        and ${sql.ref('driver.key')} = ${keyId} and ${condition}
      limit ${RARE_MAX + 1}) as found`.execute(db)
  return Number(rows[0]?.n ?? 0)
}
