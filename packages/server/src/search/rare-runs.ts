import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely'
import { type Db, isText, otherTexts } from '../db/dialect.ts'
import type { AttributeComparison, Comparison, ListTest, TextTest } from './filter.ts'
import { runConditions } from './run-conditions.ts'
import { type EntryRange, isInRange, type RunSearch } from './run-general-query.ts'
import {
  ALWAYS,
  allOf,
  integerCondition,
  isOneOf,
  numberCondition,
  textCondition,
} from './test-conditions.ts'

/**
 * Exports `findRareRuns`: when a clause of the filter leaves few runs, reading just those and
 * sorting them beats walking any order.
 */

/** Measured: reading and sorting so many runs costs what walking past 10 000 others does. */
const RARE_MAX = 500
/** A look into a value index may have to pass all of a key's entries, so it must promise something. */
const SAMPLE = { runs: 100, rareBelow: 3 }
const CLAUSES_TRIED_MAX = 8
/** Each experiment is a range of its own in the value indexes. */
const EXPERIMENTS_MAX = 50

/**
 * Ids of at most `RARE_MAX` runs that hold all that a search can find, or undefined when no clause
 * seems that rare.
 */
export async function findRareRuns(
  db: Db,
  search: RunSearch,
): Promise<readonly number[] | undefined> {
  const named = search.comparisons.flatMap(namedRuns)[0]
  if (named !== undefined) {
    const rows = await db.selectFrom('run').select('id').where('uuid', 'in', named).execute()
    return rows.map(({ id }) => id)
  }
  if (search.experiments.length > EXPERIMENTS_MAX) return undefined
  for (const look of await listPromising(db, search)) {
    const runs =
      'isMissingFrom' in look
        ? await listIfNone(db, search, look.isMissingFrom)
        : await listInRanges(db, rangesOf(look, search))
    if (runs !== undefined) return runs
  }
  return undefined
}

/** Rows that an index has together, and the run that each is of. */
interface IndexRange {
  rows: RawBuilder<unknown>
  run: Expression<unknown>
  condition: Expression<SqlBool>
}

function rangesOf(
  look: { ranges: EntryRange[] } | { runs: Expression<SqlBool> },
  { experiments }: RunSearch,
): IndexRange[] {
  if ('ranges' in look) {
    return look.ranges.map((range) => ({
      rows: sql`${sql.table(range.table)} as entry`,
      run: sql.ref('entry.run'),
      condition: isInRange(range, experiments),
    }))
  }
  const condition = allOf([isOneOf(sql.ref('run.experiment'), experiments), look.runs])
  return [{ rows: sql`${sql.table('run')}`, run: sql.ref('run.id'), condition }]
}

async function listInRanges(
  db: Db,
  ranges: readonly IndexRange[],
): Promise<readonly number[] | undefined> {
  const runs = new Set<number>()
  for (const { rows: listed, run: id, condition } of ranges) {
    const { rows } = await sql<{ run: number }>`
      select ${id} as run from ${listed} where ${condition} limit ${RARE_MAX + 1}`.execute(db)
    for (const { run } of rows) runs.add(run)
    if (runs.size > RARE_MAX) return undefined
  }
  return [...runs]
}

/** No runs, when every run has the entry: two counts along indexes, where a look at each would do. */
async function listIfNone(
  db: Db,
  { experiments }: RunSearch,
  entries: EntryRange,
): Promise<readonly number[] | undefined> {
  const run = sql.table('run')
  const { rows } = await sql<{ runs: number; entries: number }>`select
    (select count(*) from ${run} where ${isOneOf(sql.ref('run.experiment'), experiments)}) as runs,
    (select count(*) from ${sql.table(entries.table)} as entry
      where ${isInRange(entries, experiments)}) as entries`.execute(db)
  const [counts] = rows
  return counts !== undefined && counts.runs === counts.entries ? [] : undefined
}

/** Where in the value indexes the runs are that pass a clause, or none is that lacks the entry. */
type Look =
  | { ranges: EntryRange[] }
  | { isMissingFrom: EntryRange }
  /** A condition on `run` that an index of that table answers. */
  | { runs: Expression<SqlBool> }

/** What to look at for the clauses that next to none of some runs pass. */
async function listPromising(db: Db, search: RunSearch): Promise<Look[]> {
  const { experiments, stages, keyIds } = search
  const candidates = search.comparisons
    .flatMap((comparison) => toLook(db, comparison, search).map((look) => ({ comparison, look })))
    .slice(0, CLAUSES_TRIED_MAX)
  if (candidates.length === 0) return []
  const passed = runConditions(
    candidates.map(({ comparison }) => comparison),
    keyIds,
  ).map((passes, index) => {
    const name = sql.ref(`passed_${index}`)
    return sql`sum(case when ${passes} then 1 else 0 end) as ${name}`
  })
  const own = candidates.flatMap(({ comparison: { kind, key } }) =>
    kind === 'attribute' ? [key === 'run_name' ? 'name' : key] : [],
  )
  const columns = [...new Set(['id', ...own])].map((column) => sql.ref(column))
  const { rows } = await sql<Record<string, number | string | null>>`
    select ${sql.join(passed)} from (
      select ${sql.join(columns)} from ${sql.table('run')}
      where ${isOneOf(sql.ref('experiment'), experiments)} and ${isOneOf(sql.ref('stage'), stages)}
      limit ${SAMPLE.runs}) as ${sql.table('run')}`.execute(db)
  return candidates.flatMap(({ look }, index) =>
    Number(rows[0]?.[`passed_${index}`] ?? 0) < SAMPLE.rareBelow ? [look] : [],
  )
}

/** The run ids of a clause that lists a few. */
function namedRuns(comparison: Comparison): (readonly string[])[] {
  if (comparison.kind !== 'attribute' || comparison.key !== 'run_id') return []
  const { comparator, value } = comparison
  if (comparator === '=' && typeof value === 'string') return [[value]]
  const isFew = comparison.type === 'list' && comparison.value.length <= RARE_MAX
  return comparator === 'IN' && isFew ? [comparison.value] : []
}

function indexedCondition(
  db: Db,
  value: Expression<unknown>,
  test: TextTest | ListTest,
): Expression<SqlBool> {
  if (test.type === 'list') {
    return test.comparator === 'IN' ? isText(db, value, test.value) : textCondition(value, test)
  }
  return test.comparator === '=' ? isText(db, value, [test.value]) : textCondition(value, test)
}

/** Names along `run_by_name`; times along `run_list` and the index of ends. */
function lookAtRuns(db: Db, comparison: AttributeComparison, { stages }: RunSearch): Look[] {
  if (comparison.type === 'number') {
    if (comparison.comparator === '!=') return []
    const time = integerCondition(sql.ref(`run.${comparison.key}`), comparison)
    return [{ runs: allOf([isOneOf(sql.ref('run.stage'), stages), time]) }]
  }
  const isOther = comparison.comparator === '!=' || comparison.comparator === 'NOT IN'
  if (comparison.key !== 'run_name' || isOther) return []
  return [{ runs: indexedCondition(db, sql.ref('run.name'), comparison) }]
}

function toLook(db: Db, comparison: Comparison, search: RunSearch): Look[] {
  const { keyIds } = search
  if (comparison.kind === 'attribute') return lookAtRuns(db, comparison, search)
  if (comparison.kind === 'dataset') return []
  const keyId = keyIds.get(comparison.key)
  if (keyId === undefined) return []
  const value = sql.ref('entry.value')
  if (comparison.kind === 'metric') {
    const range = { table: 'metric_latest', keyId } as const
    if (comparison.comparator !== '!=') {
      return [{ ranges: [{ ...range, condition: numberCondition(value, comparison) }] }]
    }
    const sides = (['<', '>'] as const).map((comparator) => ({
      ...range,
      condition: numberCondition(value, { ...comparison, comparator }),
    }))
    return [{ ranges: [...sides, { ...range, condition: ALWAYS, isNan: true }] }]
  }
  const range = { table: comparison.kind, keyId }
  if (comparison.type === 'null') {
    const isMissingFrom = { ...range, condition: ALWAYS }
    return comparison.comparator === 'IS NULL' ? [{ isMissingFrom }] : []
  }
  if (comparison.comparator === 'NOT IN') return []
  if (comparison.type === 'text' && comparison.comparator === '!=') {
    const sides = otherTexts(db, 'entry', comparison.value)
    return [{ ranges: sides.map((condition) => ({ ...range, condition })) }]
  }
  return [{ ranges: [{ ...range, condition: indexedCondition(db, value, comparison) }] }]
}
