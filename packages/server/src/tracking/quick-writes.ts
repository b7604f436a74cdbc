import { type Expression, type RawBuilder, sql } from 'kysely'
import type { QuickWrite } from '../db/database.ts'
import { type Db, kindOf, statementOnce } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import { STAGE_ACTIVE } from '../db/schema.ts'
import { encodeBlock, encodeOne } from '../metrics/block-codec.ts'
import { findKnownRun } from './known-runs.ts'
import type { MetricColumns, SingleMetric } from './log-batch.ts'
import { idOf, STATUS_FINISHED } from './run-store.ts'
import { touch } from './touched-runs.ts'

/**
 * Writes to a run as one statement each, which asks for itself whether the run may be written to. A
 * run that has ended has a document that must go first, and a run that is missing or deleted has to
 * be refused: then, and where a run was not seen before, the statement is left to the whole write.
 */

type RunParams = { run: number; uuid: string }
type Entry = RunParams & { key: number; value: string }
type Block = RunParams & { n: number; data: Uint8Array }
type Param<Params> = <Name extends keyof Params & string>(name: Name) => Expression<Params[Name]>

function runToWrite(param: Param<RunParams>): RawBuilder<unknown> {
  return sql`from ${sql.table('run')}
    where ${sql.ref('id')} = ${param('run')} and ${sql.ref('uuid')} = ${param('uuid')}
      and ${sql.ref('stage')} = ${sql.lit(STAGE_ACTIVE)}
      and ${sql.ref('status')} < ${sql.lit(STATUS_FINISHED)}`
}

const ENTRY = sql.join(['run', 'key', 'experiment', 'value'].map((column) => sql.ref(column)))

/** Sets a tag other than the run's name. */
export const tagEntry = statementOnce<Entry, unknown>((db, param) => {
  const whenThere =
    kindOf(db) === 'mysql'
      ? sql`on duplicate key update value = values(value)`
      : sql`on conflict (run, key) do update set value = excluded.value`
  return compilable(
    db,
    sql`insert into tag (${ENTRY}) select id, ${param('key')}, experiment, ${param('value')}
      ${runToWrite(param)} ${whenThere}`,
  )
})

/**
 * Inserts a param that is new; one that is there has to be compared. A param's value is far from what
 * MySQL would cut with `ignore`, which says nothing of it.
 */
export const paramEntry = statementOnce<Entry, unknown>((db, param) => {
  const isMysql = kindOf(db) === 'mysql'
  return compilable(
    db,
    sql`insert ${isMysql ? sql`ignore` : sql``} into param (${ENTRY})
      select id, ${param('key')}, experiment, ${param('value')} ${runToWrite(param)}
      ${isMysql ? sql`` : sql`on conflict (run, key) do nothing`}`,
  )
})

/** Writes a tag (`tagEntry`) or a param (`paramEntry`). */
export async function quickEntry(
  db: Db,
  run_id: string,
  { key, value }: { key: string; value: string },
  statement: typeof tagEntry,
): Promise<QuickWrite | undefined> {
  const run = findKnownRun(db, run_id)
  if (run === undefined) return undefined
  const ids = await keyNames(db).ensure(db, [key])
  return toQuick(db, run, statement(db, { run, uuid: run_id, key: idOf(ids, key), value }))
}

const blockStatement = statementOnce<Block, unknown>((db, param) => {
  // In a list of what is selected a parameter of MySQL is a text, unless it is said to be bytes.
  const data = kindOf(db) === 'mysql' ? sql`cast(${param('data')} as binary)` : param('data')
  return compilable(
    db,
    sql`insert into metric_tail (run, experiment, folded, n, data)
      select id, experiment, 0, ${param('n')}, ${data} ${runToWrite(param)}`,
  )
})

/** Appends one checked point. */
export async function quickMetric(
  db: Db,
  run_id: string,
  { key, step, timestamp, value }: SingleMetric,
): Promise<QuickWrite | undefined> {
  const run = findKnownRun(db, run_id)
  if (run === undefined) return undefined
  const ids = await keyNames(db).ensure(db, [key])
  const data = encodeOne(idOf(ids, key), step, timestamp, value)
  return toQuick(db, run, blockStatement(db, { run, uuid: run_id, n: 1, data }))
}

/** Appends the checked points of a batch, none of which is a logged model's. */
export async function quickMetrics(
  db: Db,
  run_id: string,
  { names, points }: MetricColumns,
): Promise<QuickWrite | undefined> {
  const run = findKnownRun(db, run_id)
  if (run === undefined || points.n === 0) return undefined
  const ids = await keyNames(db).ensure(db, names)
  const idByPosition = names.map((name) => idOf(ids, name))
  const keys = points.keys.map((position) => idByPosition[position] ?? 0)
  const data = encodeBlock({ ...points, keys })
  return toQuick(db, run, blockStatement(db, { run, uuid: run_id, n: points.n, data }))
}

function compilable(db: Db, statement: RawBuilder<unknown>) {
  return { compile: () => statement.compile(db) }
}

function toQuick(db: Db, run: number, statement: QuickWrite['statement']): QuickWrite {
  return {
    statement,
    answer({ changes }) {
      if (changes === 0) return undefined
      touch(db, run)
      return {}
    },
  }
}
