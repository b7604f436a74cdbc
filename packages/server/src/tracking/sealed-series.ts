import type { Expression } from 'kysely'
import { compileOnce, type Db } from '../db/dialect.ts'
import { decodeChunk } from '../metrics/chunk-codec.ts'
import { sortAndDropEquals } from '../metrics/point-order.ts'
import { type Points, PointsBuilder } from '../metrics/points.ts'
import { keptSeries } from './kept-series.ts'
import type { RunRow } from './run-store.ts'

/**
 * Sealed points of single metrics, kept in memory once they were decoded: then a page of a long
 * history costs what it returns. What is kept is what the database holds: chunks never change, and
 * whatever seals or merges some inserts one with a higher id than all that the run had.
 */

/** A shorter series is decoded in about the time that the look at its ids takes. */
const KEPT_POINTS_MIN = 4096

interface Sealed {
  chunks: number
  lastId: number
  points: Points
}

/** Of all series together; a longer one is never kept. */
export const KEPT_POINTS_MAX = 2_000_000

const keptSealed = keptSeries<Sealed>({ pointsMin: KEPT_POINTS_MIN, pointsMax: KEPT_POINTS_MAX })

export interface OfKey extends Record<string, unknown> {
  run: number
  key: number
}

/** Chunks that may hold points of a metric of a run. */
export function chunksOfKey(db: Db, run: Expression<number>, key: Expression<number>) {
  return db
    .selectFrom('metric_chunk')
    .where('run', '=', run)
    .where('last_key', '>=', key)
    .where('first_key', '<=', key)
}

/** What is sealed, as far as it is known without reading it. */
export interface SealedState {
  chunks: number
  lastId: number
  /** At least as many as the metric has. */
  points: number
}

const selectState = compileOnce<OfKey, { [Name in keyof SealedState]: number | null }>(
  (db, param) =>
    chunksOfKey(db, param('run'), param('key')).select(({ fn }) => [
      fn.countAll<number>().as('chunks'),
      fn.max<number | null>('id').as('lastId'),
      fn.sum<number | null>('n').as('points'),
    ]),
)

export async function measureSealed(db: Db, ofKey: OfKey): Promise<SealedState> {
  const [there] = await selectState(db, ofKey)
  const { chunks, lastId, points } = there ?? {}
  return { chunks: Number(chunks), lastId: Number(lastId), points: Number(points) }
}

const selectChunks = compileOnce<OfKey, { id: number; data: Uint8Array }>((db, param) =>
  chunksOfKey(db, param('run'), param('key')).select(['id', 'data']),
)

/**
 * The sealed points of one metric of a run by (timestamp, step, value), each once. They are shared:
 * nobody may change them. Who has measured what is there gives it, for a look less.
 */
export async function readSealed(
  db: Db,
  { id: run, uuid }: Pick<RunRow, 'id' | 'uuid'>,
  key: number,
  measured?: SealedState,
): Promise<Points> {
  const name = `${uuid} ${key}`
  const kept = keptSealed(db).find(name)
  if (kept !== undefined) {
    const there = measured ?? (await measureSealed(db, { run, key }))
    if (there.chunks === kept.chunks && there.lastId === kept.lastId) return kept.points
  }
  const chunks = await selectChunks(db, { run, key })
  const only = new Set([key])
  const decoded = chunks.map(({ data }) => decodeChunk(data, only))
  // No larger than what it holds, because it stays.
  const builder = new PointsBuilder(decoded.reduce((sum, { n }) => sum + n, 0))
  for (const each of decoded) builder.append(each)
  const points = sortAndDropEquals(builder.points())
  const lastId = chunks.reduce((last, { id }) => Math.max(last, id), 0)
  keptSealed(db).keep(name, { chunks: chunks.length, lastId, points })
  return points
}
