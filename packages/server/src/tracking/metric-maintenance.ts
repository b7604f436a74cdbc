import { compileOnce, type Db } from '../db/dialect.ts'
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

const hasLookedForLeftovers = new WeakSet<object>()

/** Does one small piece of work; returns how many runs still wait for theirs. */
export async function maintainOnce(db: Db): Promise<number> {
  await findLeftovers(db)
  const touched = touchedRuns(db)
  const [run] = touched
  if (run === undefined) return 0

  await foldRuns(db, [run])
  const row = await findRunById(db, run)
  let isMergeDue = false
  if (row !== undefined) {
    await sealWhenDue(db, run, hasEnded(row))
    isMergeDue = await mergeWhenDue(db, run)
    if (!isMergeDue && hasEnded(row)) await documentRun(db, row)
  }
  // Only now: a step that failed, on a full disk for one, is tried again.
  touched.delete(run)
  if (isMergeDue) touched.add(run)
  return touched.size
}

/** After a start: runs whose tails the last process left behind. */
async function findLeftovers(db: Db): Promise<void> {
  const { adapter } = db.getExecutor()
  if (hasLookedForLeftovers.has(adapter)) return
  hasLookedForLeftovers.add(adapter)
  const rows = await db.selectFrom('metric_tail').select('run').distinct().execute()
  for (const { run } of rows) touchedRuns(db).add(run)
}

const selectUnfolded = compileOnce<
  { run: number },
  { id: number; experiment: number; data: Uint8Array }
>((db, param) =>
  db
    .selectFrom('metric_tail')
    .select(['id', 'experiment', 'data'])
    .where('run', '=', param('run'))
    .where('folded', '=', 0)
    .orderBy('id'),
)

const markFolded = compileOnce<{ run: number; upTo: number }, unknown>((db, param) =>
  db
    .updateTable('metric_tail')
    .set({ folded: 1 })
    .where('run', '=', param('run'))
    .where('id', '<=', param('upTo'))
    .where('folded', '=', 0),
)

/** Brings `metric_latest` of these runs up to date with their tails. */
export async function foldRuns(db: Db, runs: readonly number[]): Promise<void> {
  for (const run of runs) {
    const blocks = await selectUnfolded(db, { run })
    const last = blocks.at(-1)
    if (last === undefined) continue
    const builder = new PointsBuilder()
    for (const { data } of blocks) decodeBlockInto(builder, data)
    await mergeLatest(db, run, last.experiment, summarise(builder.points()))
    await markFolded(db, { run, upTo: last.id })
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

const LATEST_COLUMNS = [
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
] as const

const upsertLatest = compileOnce<LatestRow & Record<string, unknown>, unknown>((db, param) =>
  db
    .insertInto('metric_latest')
    .values({
      run: param('run'),
      key: param('key'),
      experiment: param('experiment'),
      n: param('n'),
      step: param('step'),
      ts: param('ts'),
      value: param('value'),
      is_nan: param('is_nan'),
      min: param('min'),
      max: param('max'),
      first: param('first'),
      first_is_nan: param('first_is_nan'),
      first_step: param('first_step'),
      first_ts: param('first_ts'),
    })
    .onConflict((conflict) =>
      conflict
        .columns(['run', 'key'])
        .doUpdateSet((row) =>
          Object.fromEntries(
            LATEST_COLUMNS.slice(3).map((column) => [column, row.ref(`excluded.${column}`)]),
          ),
        ),
    ),
)

async function mergeLatest(db: Db, run: number, experiment: number, summaries: Summary[]) {
  for (const fresh of summaries) {
    const [stored] = await selectLatest(db, { run, key: fresh.key })
    const summary = stored ? mergeSummary(fromRow(stored), fresh) : fresh
    await upsertLatest(db, { run, experiment, ...toRow(summary) })
  }
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
