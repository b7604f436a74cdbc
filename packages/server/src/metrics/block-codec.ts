import { invariant } from '@millrace/api/errors'
import {
  areFloat32,
  bytesMax,
  CorruptPointsError,
  type Cursor,
  ENVELOPE_BYTES,
  expectEnd,
  expectKey,
  expectSmall,
  openEnvelope,
  POINTS_MAX,
  readBytes,
  readCount,
  readDifferences,
  readFloat,
  readLinear,
  readVarint,
  readWide,
  sealEnvelope,
  unzigzag,
  writeBytes,
  writeDifferences,
  writeFloat,
  writeLinear,
  writeVarint,
  writeWide,
  zigzag,
} from './column-codec.ts'
import { type Int64, type Ints, type Points, PointsBuilder, slicePoints } from './points.ts'

/*
 * The unsealed form of points, written on the request path: see docs/metric-format.md. It favours
 * the time to write it over size, which the sealed form (chunk-codec.ts) wins back.
 */

const BLOCK = 1
const JOINED = 2

/** Two bits a column: keys, steps, timestamps, values. */
const LINEAR = 0
const DIFFERENCES = 1
const WIDE = 2
const CONSTANT = 0
const FLOAT32 = 1
const FLOAT64 = 2

/** Reused between calls: its first touch costs more than the encoding. */
let scratch = new Uint8Array(bytesMax(1024))

/** The bytes of at least one point, in a buffer of their own that can be transferred. */
export function encodeBlock(points: Points): Uint8Array {
  const { n, keys, values } = points
  invariant(n > 0, 'a block of no points')
  if (n > POINTS_MAX) return joinBlocks(encodePieces(points))
  if (scratch.length < bytesMax(n)) scratch = new Uint8Array(bytesMax(n))
  const cursor: Cursor = { bytes: scratch, at: ENVELOPE_BYTES + 1 }
  writeVarint(cursor, n)
  const keyMode = writeInts(cursor, new Float64Array(keys))
  const stepMode = writeInts(cursor, points.steps)
  const timestampMode = writeInts(cursor, points.timestamps)
  const valueMode = writeValues(cursor, values)
  scratch[ENVELOPE_BYTES] = keyMode | (stepMode << 2) | (timestampMode << 4) | (valueMode << 6)
  const bytes = scratch.slice(0, cursor.at)
  sealEnvelope(bytes, BLOCK)
  return bytes
}

function encodePieces(points: Points): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let from = 0; from < points.n; from += POINTS_MAX) {
    pieces.push(encodeBlock(slicePoints(points, from, Math.min(points.n, from + POINTS_MAX))))
  }
  return pieces
}

/**
 * The bytes `encodeBlock` gives for this one point, without columns to hold it: log-metric's path.
 * Throws a `RangeError` for a step or timestamp that is no int64.
 */
export function encodeOne(key: number, step: Int64, timestamp: Int64, value: number): Uint8Array {
  if (!isSmall(step) || !isSmall(timestamp)) {
    const one = new PointsBuilder(1)
    one.add(key, step, timestamp, value)
    return encodeBlock(one.points())
  }
  const size = Math.fround(value) === value || Number.isNaN(value) ? 4 : 8
  const cursor: Cursor = { bytes: scratch, at: ENVELOPE_BYTES }
  scratch[cursor.at++] = (size === 4 ? FLOAT32 : FLOAT64) << 6
  scratch[cursor.at++] = 1
  writeVarint(cursor, zigzag(key))
  writeVarint(cursor, zigzag(step))
  writeVarint(cursor, zigzag(timestamp))
  writeFloat(cursor, value, size)
  // A loop copies so few bytes in a third of the time `slice` takes.
  const bytes = new Uint8Array(cursor.at)
  for (let i = ENVELOPE_BYTES; i < bytes.length; i++) bytes[i] = scratch[i] as number
  sealEnvelope(bytes, BLOCK)
  return bytes
}

function isSmall(value: Int64): value is number {
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= 2 ** 50
}

function writeInts(cursor: Cursor, column: Ints): number {
  const start = cursor.at
  if (column instanceof Float64Array) {
    if (writeLinear(cursor, column)) return LINEAR
    if (writeDifferences(cursor, column, { from: 0, to: column.length, origin: 0 })) {
      return DIFFERENCES
    }
  }
  cursor.at = start
  writeWide(cursor, column)
  return WIDE
}

function writeValues(cursor: Cursor, values: Float64Array): number {
  if (values.length > 1 && isConstant(values)) {
    writeFloat(cursor, values[0] as number, 8)
    return CONSTANT
  }
  if (areFloat32(values)) {
    writeBytes(cursor, new Float32Array(values))
    return FLOAT32
  }
  writeBytes(cursor, values)
  return FLOAT64
}

function isConstant(values: Float64Array): boolean {
  const first = values[0]
  for (let i = 1; i < values.length; i++) if (!Object.is(values[i], first)) return false
  return true
}

/** One block of several, points in the order of the blocks: bytes are copied, nothing is decoded. */
export function joinBlocks(blocks: readonly Uint8Array[]): Uint8Array {
  const parts = blocks.flatMap(listParts)
  if (parts.length === 1) return parts[0] as Uint8Array
  const room = parts.reduce((sum, part) => sum + part.length + 8, 16)
  const cursor: Cursor = { bytes: new Uint8Array(room), at: 0 }
  cursor.bytes[cursor.at++] = JOINED
  writeVarint(cursor, parts.length)
  for (const part of parts) {
    writeVarint(cursor, part.length)
    cursor.bytes.set(part, cursor.at)
    cursor.at += part.length
  }
  return cursor.bytes.slice(0, cursor.at)
}

function listParts(block: Uint8Array): Uint8Array[] {
  if (block[0] !== JOINED) return [block]
  const cursor: Cursor = { bytes: block, at: 1 }
  const parts: Uint8Array[] = []
  for (let left = readVarint(cursor); left > 0; left--) {
    const length = readVarint(cursor)
    parts.push(block.subarray(cursor.at, cursor.at + length))
    cursor.at += length
  }
  expectEnd(cursor)
  return parts
}

/** The points of a block, in the order they came. Throws `CorruptPointsError`. */
export function decodeBlock(bytes: Uint8Array): Points {
  if (bytes[0] !== JOINED) return readColumns(openEnvelope(bytes, BLOCK))
  const builder = new PointsBuilder()
  decodeBlockInto(builder, bytes)
  return builder.points()
}

/**
 * Appends the points of a block to others, as a reader of a run's many blocks does. Throws
 * `CorruptPointsError`.
 */
export function decodeBlockInto(builder: PointsBuilder, bytes: Uint8Array): void {
  for (const part of listParts(bytes)) {
    const cursor = openEnvelope(part, BLOCK)
    if (isOne(cursor)) readOne(cursor, builder)
    else builder.append(readColumns(cursor))
  }
}

/** Whether the body is what `encodeOne` writes of small integers. */
function isOne({ bytes, at }: Cursor): boolean {
  return bytes[at + 1] === 1 && (bytes[at] === FLOAT32 << 6 || bytes[at] === FLOAT64 << 6)
}

/** Columns for each single point would cost ten times as much. */
function readOne(cursor: Cursor, builder: PointsBuilder): void {
  const size = cursor.bytes[cursor.at] === FLOAT32 << 6 ? 4 : 8
  cursor.at += 2
  const key = expectKey(unzigzag(readVarint(cursor)))
  const step = expectSmall(unzigzag(readVarint(cursor)))
  const timestamp = expectSmall(unzigzag(readVarint(cursor)))
  const value = readFloat(cursor, size)
  expectEnd(cursor)
  builder.add(key, step, timestamp, value)
}

function readColumns(cursor: Cursor): Points {
  const modes = cursor.bytes[cursor.at++] ?? 0
  const n = readCount(cursor)
  const keys = readKeys(cursor, n, modes & 3)
  const steps = readInts(cursor, n, (modes >> 2) & 3)
  const timestamps = readInts(cursor, n, (modes >> 4) & 3)
  const values = readValues(cursor, n, modes >> 6)
  expectEnd(cursor)
  return { n, keys, steps, timestamps, values }
}

function readKeys(cursor: Cursor, n: number, mode: number): Int32Array {
  const column = readInts(cursor, n, mode)
  if (column instanceof BigInt64Array) throw new CorruptPointsError('A metric key of 64 bits')
  const keys = new Int32Array(n)
  for (let i = 0; i < n; i++) {
    keys[i] = expectKey(column[i] as number)
  }
  return keys
}

function readInts(cursor: Cursor, n: number, mode: number): Ints {
  if (mode === WIDE) return readWide(cursor, n)
  const column = new Float64Array(n)
  if (mode === LINEAR) readLinear(cursor, column)
  else if (mode === DIFFERENCES) readDifferences(cursor, column, { from: 0, to: n, origin: 0 })
  else throw new CorruptPointsError(`Unknown mode ${mode} of a metric column`)
  return column
}

function readValues(cursor: Cursor, n: number, mode: number): Float64Array {
  if (mode === CONSTANT) {
    return new Float64Array(n).fill(readFloat(cursor, 8))
  }
  if (mode === FLOAT32) {
    const narrow = new Float32Array(n)
    readBytes(cursor, narrow)
    return new Float64Array(narrow)
  }
  if (mode !== FLOAT64) throw new CorruptPointsError(`Unknown mode ${mode} of metric values`)
  const values = new Float64Array(n)
  readBytes(cursor, values)
  return values
}
