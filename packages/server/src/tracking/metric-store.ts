import { compileOnce, type Db, insertRows } from '../db/dialect.ts'
import type { Int64 } from '../db/schema.ts'
import { decodeBlockInto, encodeBlock, encodeOne } from '../metrics/block-codec.ts'
import { type MergedSeries, mergeSeries } from '../metrics/merged-series.ts'
import { sortAndDropEquals } from '../metrics/point-order.ts'
import { type Points, PointsBuilder, selectKeys } from '../metrics/points.ts'
import type { RunRow } from './run-store.ts'
import { readSealed } from './sealed-series.ts'

const insertTail = insertRows('metric_tail', {
  columns: ['run', 'experiment', 'folded', 'n', 'data'],
})

/** Appends points of a run; nothing else is touched, summaries follow when they are folded. */
export async function appendPoints(db: Db, run: RunRow, points: Points): Promise<void> {
  const data = encodeBlock(points)
  await insertTail(db, [{ run: run.id, experiment: run.experiment, folded: 0, n: points.n, data }])
}

/** Appends one point of a run. */
export async function appendPoint(
  db: Db,
  run: RunRow,
  point: { key: number; step: Int64; timestamp: Int64; value: number },
): Promise<void> {
  const data = encodeOne(point.key, point.step, point.timestamp, point.value)
  await insertTail(db, [{ run: run.id, experiment: run.experiment, folded: 0, n: 1, data }])
}

const selectTail = compileOnce<{ experiment: number; run: number }, { data: Uint8Array }>(
  (db, param) =>
    db
      .selectFrom('metric_tail')
      .select('data')
      .where('experiment', '=', param('experiment'))
      .where('folded', 'in', [0, 1])
      .where('run', '=', param('run'))
      .orderBy('id'),
)

/** What is not sealed of one metric of a run, by (timestamp, step, value) and each point once. */
export async function readUnsealed(
  db: Db,
  run: Pick<RunRow, 'id' | 'experiment'>,
  key: number,
): Promise<Points> {
  const tail = await selectTail(db, { experiment: run.experiment, run: run.id })
  const unsealed = new PointsBuilder()
  for (const { data } of tail) decodeBlockInto(unsealed, data)
  return sortAndDropEquals(selectKeys(unsealed.points(), new Set([key])))
}

/**
 * All points of one metric of a run by (timestamp, step, value), each once. The tail is read before
 * the chunks: a point that is sealed in between is then seen twice and drops out, and none is
 * missed.
 */
export async function openSeries(
  db: Db,
  run: Pick<RunRow, 'id' | 'uuid' | 'experiment'>,
  key: number,
): Promise<MergedSeries> {
  const unsealed = await readUnsealed(db, run, key)
  return mergeSeries(await readSealed(db, run, key), unsealed)
}
