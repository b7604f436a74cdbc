import { compileOnce, type Db, inPieces } from '../db/dialect.ts'
import type { Int64 } from '../db/schema.ts'
import { decodeChunk } from '../metrics/chunk-codec.ts'
import { mergeSeries } from '../metrics/merged-series.ts'
import { sortAndDropEquals } from '../metrics/point-order.ts'
import { intAt, type Points, PointsBuilder, slicePoints } from '../metrics/points.ts'
import { readUnsealed } from './metric-store.ts'
import type { RunRow } from './run-store.ts'
import {
  chunksOfKey,
  KEPT_POINTS_MAX,
  measureSealed,
  type OfKey,
  readSealed,
} from './sealed-series.ts'

/**
 * Pages of long histories. Chunks whose times do not overlap with others' are counted without being
 * read, so a page costs what it returns, and a look at a line for each chunk.
 */

/** A shorter series is decoded whole in a few milliseconds, and then stays in memory. */
const LONG_POINTS = 32_768

export interface SeriesName {
  run: Pick<RunRow, 'id' | 'uuid' | 'experiment'>
  key: number
}

interface ChunkRow {
  id: number
  first_key: number
  last_key: number
  n: number
  min_ts: Int64 | null
  max_ts: Int64 | null
}

const selectRanges = compileOnce<OfKey, ChunkRow>((db, param) =>
  chunksOfKey(db, param('run'), param('key')).select([
    'id',
    'first_key',
    'last_key',
    'n',
    'min_ts',
    'max_ts',
  ]),
)

/** A part of a series: a chunk, or what is in no chunk yet. */
interface Piece {
  from: Int64
  to: Int64
  chunk?: ChunkRow
  points?: Points
}

/** Pieces whose times overlap with each other's and with no others'. */
type Stretch = Piece[]

/**
 * Points `from` to `to` (exclusive) of a series by (timestamp, step, value), each counted once, and
 * whether there are more. They are shared: nobody may change them. A page that is not the first comes
 * out of a series kept in memory when that has no more than `keptMax` points.
 */
export async function readPage(
  db: Db,
  { run, key }: SeriesName,
  { from, to }: { from: number; to: number },
  keptMax = KEPT_POINTS_MAX,
): Promise<{ points: Points; hasMore: boolean }> {
  const ofKey = { run: run.id, key }
  // First, as in `openSeries`: what is sealed in between is then seen twice, not missed.
  const unsealed = await readUnsealed(db, run, key)
  const measured = await measureSealed(db, ofKey)
  const { points } = measured
  // Whoever reads on is served from memory, and pays once.
  const isKept = from > 0 && points <= keptMax
  if (points > LONG_POINTS && to - from < points / 2 && !isKept) {
    const stretches = findStretches(await selectRanges(db, ofKey), unsealed)
    const page = stretches && (await pageOf(db, ofKey, stretches, { from, to }))
    if (page !== undefined) return page
  }
  const series = mergeSeries(await readSealed(db, run, key, measured), unsealed)
  return { points: series.slice(from, Math.min(to, series.n)), hasMore: to < series.n }
}

/** Stretches in the order of their times; undefined when a chunk does not tell them. */
function findStretches(chunks: readonly ChunkRow[], unsealed: Points): Stretch[] | undefined {
  const pieces: Piece[] = []
  for (const chunk of chunks) {
    if (chunk.min_ts === null || chunk.max_ts === null) return undefined
    pieces.push({ from: chunk.min_ts, to: chunk.max_ts, chunk })
  }
  if (unsealed.n > 0) {
    const [from, to] = [0, unsealed.n - 1].map((i) => intAt(unsealed.timestamps, i)) as [
      Int64,
      Int64,
    ]
    pieces.push({ from, to, points: unsealed })
  }
  pieces.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))
  const stretches: Stretch[] = []
  let end: Int64 | undefined
  for (const piece of pieces) {
    if (end !== undefined && piece.from <= end) stretches.at(-1)?.push(piece)
    else stretches.push([piece])
    if (end === undefined || piece.to > end) end = piece.to
  }
  return stretches
}

/** How many points a stretch has, if that is known without reading it. */
function countOf([first, ...others]: Stretch): number | undefined {
  if (first === undefined || others.length > 0) return undefined
  const { chunk, points } = first
  if (points !== undefined) return points.n
  return chunk?.first_key === chunk?.last_key ? chunk?.n : undefined
}

/**
 * Undefined when a chunk was merged with others while it was looked for, and when the page lies in so
 * many overlapping ones that they are better decoded once and kept.
 */
async function pageOf(
  db: Db,
  { run, key }: OfKey,
  stretches: readonly Stretch[],
  { from, to }: { from: number; to: number },
): Promise<{ points: Points; hasMore: boolean } | undefined> {
  const page = new PointsBuilder(to - from)
  let position = 0
  let read: Map<number, Uint8Array> | undefined
  for (const [index, stretch] of stretches.entries()) {
    const count = countOf(stretch)
    if (count !== undefined && position + count <= from) {
      position += count
      continue
    }
    if (count !== undefined && position >= to) return { points: page.points(), hasMore: true }
    const size = stretch.reduce((sum, { chunk }) => sum + (chunk?.n ?? 0), 0)
    if (size > LONG_POINTS) return undefined
    if (!stretch.every(({ chunk }) => chunk === undefined || read?.has(chunk.id))) {
      read = await readData(db, run, idsFrom(stretches, index, to - position))
    }
    const points = decode(stretch, read ?? new Map(), key)
    if (points === undefined) return undefined
    const start = Math.min(Math.max(from - position, 0), points.n)
    const end = Math.min(Math.max(to - position, start), points.n)
    page.append(slicePoints(points, start, end))
    position += points.n
    if (position > to) return { points: page.points(), hasMore: true }
  }
  return { points: page.points(), hasMore: false }
}

/** Chunks of a stretch, and of those after it that hold the next points, as far as that is known. */
function idsFrom(stretches: readonly Stretch[], index: number, points: number): number[] {
  const ids: number[] = []
  let counted = 0
  for (let i = index; i < stretches.length && (i === index || counted < points); i++) {
    const stretch = stretches[i] ?? []
    ids.push(...stretch.flatMap(({ chunk }) => chunk?.id ?? []))
    counted += countOf(stretch) ?? 0
  }
  return ids
}

async function readData(
  db: Db,
  run: number,
  ids: readonly number[],
): Promise<Map<number, Uint8Array>> {
  const read = new Map<number, Uint8Array>()
  for (const some of inPieces(ids)) {
    const rows = await db
      .selectFrom('metric_chunk')
      .select(['id', 'data'])
      .where('id', 'in', some)
      .where('run', '=', run)
      .execute()
    for (const { id, data } of rows) read.set(id, data)
  }
  return read
}

function decode(
  stretch: Stretch,
  read: ReadonlyMap<number, Uint8Array>,
  key: number,
): Points | undefined {
  const only = new Set([key])
  const builder = new PointsBuilder()
  for (const { chunk, points } of stretch) {
    if (points !== undefined) builder.append(points)
    if (chunk === undefined) continue
    const data = read.get(chunk.id)
    if (data === undefined) return undefined
    builder.append(decodeChunk(data, only))
  }
  return sortAndDropEquals(builder.points())
}
