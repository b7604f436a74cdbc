import { compileOnce, type Db, inPieces, insertRows, kindOf, lockRow } from '../db/dialect.ts'
import type { MetricLatestTable } from '../db/schema.ts'
import { decodeBlockInto } from '../metrics/block-codec.ts'
import { PointsBuilder } from '../metrics/points.ts'
import { mergeSummary, type Sample, type Summary, summarise } from '../metrics/summary.ts'
import { mergeWhenDue, sealWhenDue } from './metric-sealing.ts'
import { documentRun } from './run-document.ts'
import { findRunById } from './run-reading.ts'
import { hasEnded } from './run-store.ts'
import { touchedRuns } from './touched-runs.ts'

/**
 * Background work on metrics. Each step is one write: it names the rows that it moves by id, so a
 * block that is committed meanwhile stays for the next time, and doing a step twice changes nothing.
 */

/** How often the tails that other processes left behind are looked for; once is enough on SQLite. */
const LEFTOVERS_INTERVAL_MS = 60_000

/**
 * A transaction that began before a run ended may still be open then, and does not know that the
 * run's document has to go. None is older than this (`group-writer.ts`), so documents wait.
 */
const SETTLED_AFTER_MS = 30_000

/** Does one small piece of work; returns how many runs still wait for theirs. */
export async function maintainOnce(db: Db): Promise<number> {
  await findLeftovers(db)
  const touched = touchedRuns(db)
  const next = touched.next(Date.now())
  if (next === undefined) return 0

  const { run } = next
  await lockRow(db, 'run', run)
  await foldRuns(db, [run])
  const row = await findRunById(db, run)
  let isMergeDue = false
  if (row !== undefined) {
    await sealWhenDue(db, row, hasEnded(row))
    isMergeDue = await mergeWhenDue(db, run)
    const isSettled = next.isSettled || kindOf(db) === 'sqlite'
    if (!isMergeDue && hasEnded(row)) {
      if (isSettled) await documentRun(db, row)
      else touched.addLater(run, Date.now() + SETTLED_AFTER_MS)
    }
  }
  // Only now: a step that failed, on a full disk for one, is tried again.
  touched.delete(next)
  if (isMergeDue) touched.add(run)
  return touched.count(Date.now())
}

const lookedForLeftoversMs = new WeakMap<object, number>()

/** Runs whose tails a process left behind that has ended, or that was never told to go on. */
async function findLeftovers(db: Db): Promise<void> {
  const { adapter } = db.getExecutor()
  const lastMs = lookedForLeftoversMs.get(adapter)
  if (lastMs !== undefined) {
    if (kindOf(db) === 'sqlite' || Date.now() - lastMs < LEFTOVERS_INTERVAL_MS) return
  }
  lookedForLeftoversMs.set(adapter, Date.now())
  const rows = await db.selectFrom('metric_tail').select('run').distinct().execute()
  for (const { run } of rows) touchedRuns(db).add(run)
}

interface OfRun extends Record<string, unknown> {
  experiment: number
  run: number
}

const selectExperiment = compileOnce<{ run: number }, { experiment: number }>((db, param) =>
  db.selectFrom('run').select('experiment').where('id', '=', param('run')),
)

const selectUnfolded = compileOnce<OfRun, { id: number; data: Uint8Array }>((db, param) =>
  db
    .selectFrom('metric_tail')
    .select(['id', 'data'])
    .where('experiment', '=', param('experiment'))
    .where('folded', '=', 0)
    .where('run', '=', param('run'))
    .orderBy('id'),
)

/** Brings `metric_latest` of these runs up to date with their tails. */
export async function foldRuns(db: Db, runs: readonly number[]): Promise<void> {
  for (const run of runs.toSorted((a, b) => a - b)) {
    await lockRow(db, 'run', run)
    const [row] = await selectExperiment(db, { run })
    if (row === undefined) continue
    const { experiment } = row
    const blocks = await selectUnfolded(db, { experiment, run })
    if (blocks.length === 0) continue
    const builder = new PointsBuilder()
    for (const { data } of blocks) decodeBlockInto(builder, data)
    await mergeLatest(db, run, experiment, summarise(builder.points()))
    // By id: blocks of other transactions get theirs in another order than they become visible.
    for (const ids of inPieces(blocks.map(({ id }) => id))) {
      await db.updateTable('metric_tail').set({ folded: 1 }).where('id', 'in', ids).execute()
    }
  }
}

type LatestRow = MetricLatestTable

const selectLatest = compileOnce<{ run: number; key: number }, LatestRow>((db, param) =>
  db
    .selectFrom('metric_latest')
    .selectAll()
    .where('run', '=', param('run'))
    .where('key', '=', param('key')),
)

const selectAllLatest = compileOnce<{ run: number }, LatestRow>((db, param) =>
  db.selectFrom('metric_latest').selectAll().where('run', '=', param('run')),
)

const replaceLatest = insertRows('metric_latest', {
  columns: [
    'run',
    'key',
    'experiment',
    'n',
    'step',
    'ts',
    'value',
    'is_nan',
    'min',
    'max',
    'first',
    'first_is_nan',
    'first_step',
    'first_ts',
  ],
  key: ['run', 'key'],
  whenThere: 'replace',
})

/** Beyond this many keys one statement for all metrics of a run is faster than one for each. */
const KEYS_READ_ONE_BY_ONE = 8

async function mergeLatest(db: Db, run: number, experiment: number, summaries: Summary[]) {
  const stored = new Map<number, LatestRow>()
  if (summaries.length > KEYS_READ_ONE_BY_ONE) {
    for (const row of await selectAllLatest(db, { run })) stored.set(row.key, row)
  } else {
    for (const { key } of summaries) {
      for (const row of await selectLatest(db, { run, key })) stored.set(row.key, row)
    }
  }
  await replaceLatest(
    db,
    summaries.map((fresh) => {
      const known = stored.get(fresh.key)
      const summary = known ? mergeSummary(fromRow(known), fresh) : fresh
      return { run, experiment, ...toRow(summary) }
    }),
  )
}

function fromRow(row: LatestRow): Summary {
  return {
    key: row.key,
    count: row.n,
    last: { step: row.step, timestamp: row.ts, value: row.is_nan ? Number.NaN : row.value },
    first: {
      step: row.first_step,
      timestamp: row.first_ts,
      value: row.first_is_nan ? Number.NaN : row.first,
    },
    min: row.min,
    max: row.max,
  }
}

function toRow({ key, count, last, first, min, max }: Summary) {
  const [value, is_nan] = toColumns(last)
  const [firstValue, first_is_nan] = toColumns(first)
  return {
    key,
    n: count,
    step: last.step,
    ts: last.timestamp,
    value,
    is_nan,
    min,
    max,
    first: firstValue,
    first_is_nan,
    first_step: first.step,
    first_ts: first.timestamp,
  }
}

/** A value as two columns, which is how MLflow keeps NaN too. */
function toColumns({ value }: Sample): [value: number, is_nan: number] {
  return Number.isNaN(value) ? [0, 1] : [value, 0]
}
