import { sql } from 'kysely'
import { compileOnce, type Db, kindOf } from '../db/dialect.ts'
import { groupedRead } from '../db/grouped-reads.ts'
import type { Int64 } from '../db/schema.ts'
import { NO_INPUTS } from './run-input-store.ts'
import { runText } from './run-reading.ts'
import { type RunRow, STATUS_FINISHED } from './run-store.ts'
import { type LatestMetric, mergeBlocks } from './unfolded-metrics.ts'
import { readUnited, type UnitedRun } from './united-runs.ts'

type Pair = [key: number, value: string]

/** A run with all that belongs to it, in the form that costs both ends of a connection least. */
interface WholeRow extends RunRow {
  /** The document of an ended run; without one the others are there. */
  doc: string | null
  /** Key, value, is_nan, step and time of each metric. */
  metrics: string | null
  params: Pair[] | null
  tags: Pair[] | null
  /** Points that no summary knows yet. */
  blocks: string | null
  has_inputs: boolean | null
}

function wholeRows(db: Db) {
  const pairs = (table: 'param' | 'tag') => sql`
    (select json_agg(json_build_array(key, value)) from ${sql.table(table)} where run = run.id)`
  const unlessDoc = (expression: unknown) => sql<never>`
    case when run_doc.run is null then ${expression} end`
  return db
    .selectFrom('run')
    .leftJoin('run_doc', (join) =>
      join.onRef('run_doc.run', '=', 'run.id').on('run.status', '>=', STATUS_FINISHED),
    )
    .selectAll('run')
    .select([
      'run_doc.data as doc',
      unlessDoc(sql`
        (select string_agg(concat_ws(' ', key, value, is_nan, step, ts), ' ')
         from metric_latest where run = run.id)`).as('metrics'),
      unlessDoc(pairs('param')).as('params'),
      unlessDoc(pairs('tag')).as('tags'),
      unlessDoc(sql`
        (select string_agg(encode(data, 'hex'), ' ') from metric_tail
         where experiment = run.experiment and folded = 0 and run = run.id)`).as('blocks'),
      unlessDoc(sql`
        exists (select from run_dataset where run = run.id)
        or exists (select from run_model where run = run.id)`).as('has_inputs'),
    ])
}

const selectWhole = compileOnce<{ uuid: string }, WholeRow>((db, param) =>
  wholeRows(db).where('uuid', '=', param('uuid')),
)

const selectAllWhole = compileOnce<{ uuids: string[] }, WholeRow>((db, param) =>
  wholeRows(db).where(sql<boolean>`run.uuid = any(${param('uuids')}::text[])`),
)

/** A run as JSON text, and how many blocks of points no summary knew yet. */
interface WholeRun {
  id: number
  text: string
  blocks: number
}

const readGrouped = groupedRead<string, WholeRun | 'elsewhere'>(async (db, uuids) => {
  const runs = new Map<string, WholeRun | 'elsewhere'>()
  if (kindOf(db) === 'mysql') {
    for (const run of await readUnited(db, uuids)) {
      runs.set(run.row.uuid, run.hasInputs ? 'elsewhere' : await makeWhole(db, run))
    }
    return runs
  }
  const [uuid] = uuids
  const isOne = uuids.length === 1 && uuid !== undefined
  const rows = isOne ? await selectWhole(db, { uuid }) : await selectAllWhole(db, { uuids })
  for (const row of rows) {
    runs.set(row.uuid, row.has_inputs ? 'elsewhere' : await toWhole(db, row))
  }
  return runs
})

/**
 * A run by one statement, which it may share with other reads; undefined where the database has no
 * such statement, and for a run that is not there or of which more is to be read.
 */
export async function readWholeRun(db: Db, run_id: string): Promise<WholeRun | undefined> {
  if (kindOf(db) === 'sqlite') return undefined
  const run = await readGrouped(db, run_id)
  return run === 'elsewhere' ? undefined : run
}

function toWhole(db: Db, row: WholeRow): Promise<WholeRun> {
  return makeWhole(db, {
    row,
    doc: row.doc,
    metrics: readMetrics(row.metrics ?? ''),
    params: toPairs(row.params),
    tags: toPairs(row.tags),
    blocks: row.blocks?.split(' ').map((hex) => Buffer.from(hex, 'hex')) ?? [],
  })
}

async function makeWhole(
  db: Db,
  { row, doc, metrics: known, params, tags, blocks }: Omit<UnitedRun, 'hasInputs'>,
): Promise<WholeRun> {
  if (doc !== null) return { id: row.id, text: doc, blocks: 0 }
  const metrics = blocks.length === 0 ? known : mergeBlocks(known, blocks)
  const text = await runText(db, row, { metrics, params, tags, inputs: NO_INPUTS })
  return { id: row.id, text, blocks: blocks.length }
}

const METRIC_WORDS = 5

function readMetrics(text: string): LatestMetric[] {
  const words = text === '' ? [] : text.split(' ')
  const metrics: LatestMetric[] = []
  for (let i = 0; i < words.length; i += METRIC_WORDS) {
    const [key, value, is_nan, step, ts] = words.slice(i, i + METRIC_WORDS)
    metrics.push({
      key: Number(key),
      value: Number(value),
      is_nan: Number(is_nan),
      step: toInt64(step),
      ts: toInt64(ts),
    })
  }
  return metrics.sort((a, b) => a.key - b.key)
}

function toInt64(text = ''): Int64 {
  const number = Number(text)
  return Number.isSafeInteger(number) ? number : BigInt(text)
}

function toPairs(pairs: readonly Pair[] | null): { key: number; value: string }[] {
  return (pairs ?? []).map(([key, value]) => ({ key, value })).sort((a, b) => a.key - b.key)
}
