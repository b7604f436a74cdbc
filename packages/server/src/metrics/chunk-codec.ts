import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { invariant } from '@millrace/api/errors'
import {
  areFloat32,
  bytesMax,
  CorruptPointsError,
  type Cursor,
  ENVELOPE_BYTES,
  expectEnd,
  expectKey,
  openEnvelope,
  POINTS_MAX,
  readCount,
  readDifferences,
  readVarint,
  readWide,
  sealEnvelope,
  unzigzag,
  writeDifferences,
  writeVarint,
  writeWide,
  zigzag,
} from './column-codec.ts'
import { orderColumn } from './point-order.ts'
import { type Int64, type Ints, intAt, type Points, pickPoints, slicePoints } from './points.ts'

/*
 * The sealed form of points, written in the background and kept for good: see
 * docs/metric-format.md.
 */

const CHUNK = 3

/**
 * Measured: fewer waste database pages, more move an InnoDB row to pages of its own, and one key of
 * few points pays for decoding all its neighbours.
 */
export const CHUNK_POINTS = 1024

/** Two bits a column: steps, timestamps, values. */
const DIFFERENCES = 1
const WIDE = 2
const FLOAT32 = 1
const FLOAT64 = 2

/** A stretch of points of one key, `to` exclusive. */
interface Series {
  key: number
  from: number
  to: number
}

/** Sorted points in pieces to seal: of at most 1024, ending with a key where half a piece allows. */
export function cutChunks(points: Points): Points[] {
  const pieces: Points[] = []
  for (let from = 0; from < points.n; ) {
    const to = endOfChunk(points, from)
    pieces.push(slicePoints(points, from, to))
    from = to
  }
  return pieces
}

function endOfChunk({ n, keys }: Points, from: number): number {
  const full = from + CHUNK_POINTS
  if (full >= n) return n
  for (let to = full; to >= from + CHUNK_POINTS / 2; to--) if (keys[to] !== keys[to - 1]) return to
  return full
}

/** What a reader needs to know of a chunk without opening it. */
export function describeChunk(points: Points): {
  firstKey: number
  lastKey: number
  steps: [least: Int64, greatest: Int64]
  timestamps: [least: Int64, greatest: Int64]
} {
  return {
    firstKey: points.keys[0] as number,
    lastKey: points.keys[points.n - 1] as number,
    steps: extremes(points.steps),
    timestamps: extremes(points.timestamps),
  }
}

function extremes(column: Ints): [least: Int64, greatest: Int64] {
  const ordered = orderColumn(column)
  let least = 0
  let greatest = 0
  for (let i = 1; i < column.length; i++) {
    if ((ordered[i] as number) < (ordered[least] as number)) least = i
    if ((ordered[i] as number) > (ordered[greatest] as number)) greatest = i
  }
  return [intAt(column, least), intAt(column, greatest)]
}

let scratch = new Uint8Array(bytesMax(CHUNK_POINTS))

/** The compressed bytes of points sorted by key: a piece `cutChunks` cut, at most 65 536 points. */
export function encodeChunk(points: Points): Uint8Array {
  const { n } = points
  invariant(n > 0 && n <= POINTS_MAX, `a chunk of ${n} points`)
  if (scratch.length < bytesMax(n)) scratch = new Uint8Array(bytesMax(n))
  const series = listSeries(points)
  const cursor: Cursor = { bytes: scratch, at: 1 }
  writeVarint(cursor, n)
  writeSeries(cursor, series)
  const stepMode = writeInts(cursor, points.steps, series)
  const timestampMode = writeInts(cursor, points.timestamps, series)
  const valueMode = areFloat32(points.values) ? FLOAT32 : FLOAT64
  writePlanes(cursor, valueMode === FLOAT32 ? new Float32Array(points.values) : points.values)
  scratch[0] = stepMode | (timestampMode << 2) | (valueMode << 4)
  return compress(scratch.subarray(0, cursor.at))
}

function listSeries({ n, keys }: Points): Series[] {
  const series: Series[] = []
  for (let from = 0; from < n; ) {
    const key = keys[from] as number
    let to = from + 1
    while (to < n && keys[to] === key) to++
    series.push({ key, from, to })
    from = to
  }
  return series
}

function writeSeries(cursor: Cursor, series: Series[]): void {
  writeVarint(cursor, series.length)
  let previous = 0
  for (const { key, from, to } of series) {
    invariant(from === 0 || key > previous, `metric key ${key} after ${previous} in a chunk`)
    writeVarint(cursor, zigzag(key - previous))
    writeVarint(cursor, to - from)
    previous = key
  }
}

function writeInts(cursor: Cursor, column: Ints, series: Series[]): number {
  const start = cursor.at
  if (column instanceof Float64Array && writeSeriesInts(cursor, column, series)) return DIFFERENCES
  cursor.at = start
  writeWide(cursor, column)
  return WIDE
}

/** Each series begins where the one before began: a run's series share their steps and times. */
function writeSeriesInts(cursor: Cursor, column: Float64Array, series: Series[]): boolean {
  let origin = 0
  for (const { from, to } of series) {
    if (!writeDifferences(cursor, column, { from, to, origin })) return false
    origin = column[from] as number
  }
  return true
}

/** Bytes of the same significance together: signs and exponents hardly change and compress. */
function writePlanes(cursor: Cursor, values: Float32Array | Float64Array): void {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  const size = values.BYTES_PER_ELEMENT
  const target = cursor.bytes
  let at = cursor.at
  for (let plane = 0; plane < size; plane++) {
    for (let i = plane; i < bytes.length; i += size) target[at++] = bytes[i] as number
  }
  cursor.at = at
}

/** Level 3 gains a hundredth and costs twice. The size announced halves zstd's own set-up. */
function compress(body: Uint8Array): Uint8Array {
  const frame = zstdCompressSync(body, {
    chunkSize: body.length + 512,
    pledgedSrcSize: body.length,
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
  })
  const cursor: Cursor = { bytes: new Uint8Array(frame.length + 16), at: ENVELOPE_BYTES }
  writeVarint(cursor, body.length)
  cursor.bytes.set(frame, cursor.at)
  const bytes = cursor.bytes.subarray(0, cursor.at + frame.length)
  sealEnvelope(bytes, CHUNK)
  return bytes
}

function decompress(cursor: Cursor): Uint8Array {
  const length = readVarint(cursor)
  if (length > bytesMax(POINTS_MAX)) throw new CorruptPointsError(`A chunk of ${length} bytes`)
  let body: Uint8Array
  try {
    body = zstdDecompressSync(cursor.bytes.subarray(cursor.at), {
      chunkSize: Math.max(length, 64),
      maxOutputLength: Math.max(length, 1),
    })
  } catch (cause) {
    throw new CorruptPointsError('A chunk of metric points does not decompress', { cause })
  }
  if (body.length !== length) {
    throw new CorruptPointsError(`A chunk of ${body.length} bytes, not ${length}`)
  }
  return body
}

/**
 * The points of a chunk, or only those of the keys asked for. Throws `CorruptPointsError`.
 */
export function decodeChunk(bytes: Uint8Array, only?: ReadonlySet<number>): Points {
  const body = decompress(openEnvelope(bytes, CHUNK))
  const cursor: Cursor = { bytes: body, at: 1 }
  const modes = body[0] ?? 0
  const n = readCount(cursor)
  const series = readSeries(cursor, n)
  const wanted = only ? series.filter(({ key }) => only.has(key)) : series
  const steps = readInts(cursor, { n, series, mode: modes & 3 })
  const timestamps = readInts(cursor, { n, series, mode: (modes >> 2) & 3 })
  const values = readPlanes(cursor, { n, series: wanted, mode: modes >> 4 })
  expectEnd(cursor)
  return assemble({ steps, timestamps, values }, wanted)
}

function readSeries(cursor: Cursor, n: number): Series[] {
  const count = readVarint(cursor)
  const series: Series[] = []
  let key = 0
  let from = 0
  while (series.length < count && from < n) {
    key = expectKey(key + unzigzag(readVarint(cursor)))
    const to = from + readCount(cursor)
    series.push({ key, from, to })
    from = to
  }
  if (series.length !== count || from !== n) {
    throw new CorruptPointsError(`${from} points in ${series.length} series, not ${n} in ${count}`)
  }
  return series
}

interface Layout {
  n: number
  series: Series[]
  mode: number
}

function readInts(cursor: Cursor, { n, series, mode }: Layout): Ints {
  if (mode === WIDE) return readWide(cursor, n)
  if (mode !== DIFFERENCES) throw new CorruptPointsError(`Unknown mode ${mode} of a metric column`)
  const column = new Float64Array(n)
  let origin = 0
  for (const { from, to } of series) {
    readDifferences(cursor, column, { from, to, origin })
    origin = column[from] as number
  }
  return column
}

function readPlanes(cursor: Cursor, { n, series, mode }: Layout): Float64Array {
  if (mode !== FLOAT32 && mode !== FLOAT64) {
    throw new CorruptPointsError(`Unknown mode ${mode} of metric values`)
  }
  const values = mode === FLOAT32 ? new Float32Array(n) : new Float64Array(n)
  const size = values.BYTES_PER_ELEMENT
  const { bytes, at } = cursor
  const target = new Uint8Array(values.buffer)
  for (const { from, to } of series) {
    for (let plane = 0; plane < size; plane++) {
      const start = at + plane * n
      for (let i = from; i < to; i++) target[i * size + plane] = bytes[start + i] as number
    }
  }
  cursor.at = at + n * size
  return values instanceof Float64Array ? values : new Float64Array(values)
}

function assemble(
  { steps, timestamps, values }: Pick<Points, 'steps' | 'timestamps' | 'values'>,
  wanted: Series[],
): Points {
  const n = values.length
  const keys = new Int32Array(n)
  const indices = new Uint32Array(n)
  let picked = 0
  for (const { key, from, to } of wanted) {
    keys.fill(key, from, to)
    for (let i = from; i < to; i++) indices[picked++] = i
  }
  const points = { n, keys, steps, timestamps, values }
  return picked === n ? points : pickPoints(points, indices.subarray(0, picked))
}
