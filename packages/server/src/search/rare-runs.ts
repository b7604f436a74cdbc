import { type Expression, type RawBuilder, type SqlBool, sql } from 'kysely'
import { type Db, isText, otherTexts } from '../db/dialect.ts'
import type { AttributeComparison, Comparison, ListTest, TextTest } from './filter.ts'
import { runConditions } from './run-conditions.ts'
import { type EntryRange, isInRange, type RunSearch } from './run-general-query.ts'
import { ALWAYS, allOf, isOneOf, numberCondition, textCondition } from './test-conditions.ts'

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
        : await listInRanges(db, look.ranges)
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

function inEntries(range: EntryRange, { experiments }: RunSearch): IndexRange {
  return {
    rows: sql`${sql.table(range.table)} as entry`,
    run: sql.ref('entry.run'),
    condition: isInRange(range, experiments),
  }
}

function inRuns(conditions: Expression<SqlBool>[], { experiments }: RunSearch): IndexRange {
  return {
    rows: sql`${sql.table('run')}`,
    run: sql.ref('run.id'),
    condition: allOf([isOneOf(sql.ref('run.experiment'), experiments), ...conditions]),
  }
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

/** Where in the indexes the runs are that pass a clause, or none is that lacks the entry. */
type Look = { ranges: IndexRange[] } | { isMissingFrom: EntryRange }

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
  const isOfRuns = candidates.some(({ comparison }) => comparison.kind === 'attribute')
  const columns = isOfRuns ? sql`*` : sql.ref('id')
  const { rows } = await sql<Record<string, number | string | null>>`
    select ${sql.join(passed)} from (
      select ${columns} from ${sql.table('run')}
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
function lookAtRuns(db: Db, comparison: AttributeComparison, search: RunSearch): Look[] {
  if (comparison.comparator === '!=' || comparison.comparator === 'NOT IN') return []
  if (comparison.type === 'number') {
    const isOfStage = isOneOf(sql.ref('run.stage'), search.stages)
    const time = runConditions([comparison], search.keyIds)
    return [{ ranges: [inRuns([isOfStage, ...time], search)] }]
  }
  if (comparison.key !== 'run_name') return []
  const name = indexedCondition(db, sql.ref('run.name'), comparison)
  return [{ ranges: [inRuns([name], search)] }]
}

function toLook(db: Db, comparison: Comparison, search: RunSearch): Look[] {
  if (comparison.kind === 'attribute') return lookAtRuns(db, comparison, search)
  if (comparison.kind === 'dataset') return []
  const keyId = search.keyIds.get(comparison.key)
  if (keyId === undefined) return []
  const value = sql.ref('entry.value')
  const table = comparison.kind === 'metric' ? 'metric_latest' : comparison.kind
  const look = (conditions: readonly Expression<SqlBool>[], isNan = false) =>
    conditions.map((condition) => inEntries({ table, keyId, condition, isNan }, search))
  if (comparison.kind === 'metric') {
    if (comparison.comparator !== '!=') {
      return [{ ranges: look([numberCondition(value, comparison)]) }]
    }
    const sides = (['<', '>'] as const).map((comparator) =>
      numberCondition(value, { ...comparison, comparator }),
    )
    return [{ ranges: [...look(sides), ...look([ALWAYS], true)] }]
  }
  if (comparison.type === 'null') {
    const isMissingFrom = { table, keyId, condition: ALWAYS } as const
    return comparison.comparator === 'IS NULL' ? [{ isMissingFrom }] : []
  }
  if (comparison.comparator === 'NOT IN') return []
  if (comparison.type === 'text' && comparison.comparator === '!=') {
    return [{ ranges: look(otherTexts(db, 'entry', comparison.value)) }]
  }
  return [{ ranges: look([indexedCondition(db, value, comparison)]) }]
}
