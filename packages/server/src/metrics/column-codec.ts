import { endianness } from 'node:os'
import { crc32 } from 'node:zlib'
import { invariant } from '@millrace/api/errors'
import { type Ints, narrowed, widened } from './points.ts'

/** Stored metric points do not read back: a bug or a damaged disk, never a client's fault. */
export class CorruptPointsError extends Error {
  override readonly name = 'CorruptPointsError'
}

/** Bytes being written or read, and how far. */
export interface Cursor {
  bytes: Uint8Array
  at: number
}

/** Most points one block or chunk holds, so a damaged count cannot ask for all memory. */
export const POINTS_MAX = 65_536

/** Bytes that suffice for `n` points in any encoding, with all headers. */
export function bytesMax(n: number): number {
  return 64 + 40 * n
}

/** Format byte and CRC-32 in front of every body. */
export const ENVELOPE_BYTES = 5

// Columns are copied to and from memory whole.
invariant(endianness() === 'LE', 'the metric format is little-endian and so must the machine be')

/** Writes the envelope of a body that stands at `ENVELOPE_BYTES`. */
export function sealEnvelope(bytes: Uint8Array, format: number): void {
  const sum = crc32(bytes.subarray(ENVELOPE_BYTES))
  bytes[0] = format
  bytes[1] = sum
  bytes[2] = sum >>> 8
  bytes[3] = sum >>> 16
  bytes[4] = sum >>> 24
}

/** A cursor at the body. Throws `CorruptPointsError` for another format or a wrong checksum. */
export function openEnvelope(bytes: Uint8Array, format: number): Cursor {
  if (bytes[0] !== format) {
    throw new CorruptPointsError(`Metric format ${bytes[0]} where ${format} was expected`)
  }
  const stored = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (
    bytes.length < ENVELOPE_BYTES ||
    stored.getUint32(1, true) !== crc32(bytes.subarray(ENVELOPE_BYTES))
  ) {
    throw new CorruptPointsError(`Checksum mismatch in ${bytes.length} bytes of metric points`)
  }
  return { bytes, at: ENVELOPE_BYTES }
}

export function expectEnd(cursor: Cursor): void {
  if (cursor.at !== cursor.bytes.length) {
    throw new CorruptPointsError(`Metric points end at byte ${cursor.at} of ${cursor.bytes.length}`)
  }
}

/** Writes an integer from 0 to 2^53, seven bits a byte, low bits first. */
export function writeVarint(cursor: Cursor, value: number): void {
  const { bytes } = cursor
  let rest = value
  while (rest >= 128) {
    const low = rest % 128
    bytes[cursor.at++] = low | 128
    rest = (rest - low) / 128
  }
  bytes[cursor.at++] = rest
}

/** Reads what `writeVarint` wrote; a longer or cut number is a `CorruptPointsError`. */
export function readVarint(cursor: Cursor): number {
  const { bytes } = cursor
  let value = 0
  let scale = 1
  while (scale <= 2 ** 49 && cursor.at < bytes.length) {
    const byte = bytes[cursor.at++] as number
    value += (byte & 127) * scale
    if (byte < 128) return value
    scale *= 128
  }
  throw new CorruptPointsError(`No number ends at byte ${cursor.at} of ${bytes.length}`)
}

/** Small numbers of either sign as small numbers: 0, -1, 1, -2, … become 0, 1, 2, 3, … */
export function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

export function unzigzag(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

/** How many points follow. */
export function readCount(cursor: Cursor): number {
  const n = readVarint(cursor)
  if (n === 0 || n > POINTS_MAX) throw new CorruptPointsError(`A block of ${n} metric points`)
  return n
}

/**
 * Integers up to here are stored as differences of differences, which are then exact doubles;
 * a column with a larger one is stored as 64-bit integers.
 */
const DIFFERENCES_MAX = 2 ** 50

/** Whether `writeDifferences` can hold the column. */
export function fitsDifferences(column: Ints): column is Float64Array {
  if (!(column instanceof Float64Array)) return false
  for (let i = 0; i < column.length; i++) {
    if (Math.abs(column[i] as number) > DIFFERENCES_MAX) return false
  }
  return true
}

/**
 * Writes values `from` to `to` as the first one's distance to `origin`, the first difference, then
 * differences of differences: one byte a point for anything that runs at an even pace.
 */
export function writeDifferences(
  cursor: Cursor,
  column: Float64Array | Int32Array,
  { from, to, origin }: Segment,
): void {
  const { bytes } = cursor
  let at = cursor.at
  let previous = origin
  let pace = 0
  for (let i = from; i < to; i++) {
    const value = column[i] as number
    const difference = value - previous
    const change = difference - pace
    previous = value
    pace = i === from ? 0 : difference
    if (change < 64 && change >= -64) {
      bytes[at++] = (change << 1) ^ (change >> 31)
    } else {
      cursor.at = at
      writeVarint(cursor, zigzag(change))
      at = cursor.at
    }
  }
  cursor.at = at
}

/** Points `from` to `to` of a column, the first one stored as its distance to `origin`. */
export interface Segment {
  from: number
  to: number
  origin: number
}

/** Reads what `writeDifferences` wrote into the same places of `column`. */
export function readDifferences(
  cursor: Cursor,
  column: Float64Array | Int32Array,
  { from, to, origin }: Segment,
): void {
  const { bytes } = cursor
  if (to - from > bytes.length - cursor.at) throw new CorruptPointsError('Metric points are cut')
  let at = cursor.at
  let value = origin
  let pace = 0
  let greatest = 0
  for (let i = from; i < to; i++) {
    const byte = bytes[at] as number
    let change: number
    if (byte < 128) {
      at++
      change = (byte >>> 1) ^ -(byte & 1)
    } else {
      cursor.at = at
      change = unzigzag(readVarint(cursor))
      at = cursor.at
    }
    const difference = pace + change
    value += difference
    pace = i === from ? 0 : difference
    column[i] = value
    const size = Math.abs(value)
    if (size > greatest) greatest = size
  }
  cursor.at = at
  expectSize(column, greatest)
}

function expectSize(column: Float64Array | Int32Array, greatest: number): void {
  const limit = column instanceof Int32Array ? 2 ** 31 - 1 : DIFFERENCES_MAX
  if (greatest > limit) throw new CorruptPointsError(`A metric column with ${greatest} in it`)
}

/** Whether all differences are the same, as those of a batch that logs one step are. */
export function isLinear(column: Float64Array | Int32Array): boolean {
  const pace = (column[1] as number) - (column[0] as number)
  for (let i = 2; i < column.length; i++) {
    if ((column[i] as number) - (column[i - 1] as number) !== pace) return false
  }
  return true
}

/** Writes a linear column: its first value and, of two values or more, the difference. */
export function writeLinear(cursor: Cursor, column: Float64Array | Int32Array): void {
  const first = column[0] as number
  writeVarint(cursor, zigzag(first))
  if (column.length > 1) writeVarint(cursor, zigzag((column[1] as number) - first))
}

export function readLinear(cursor: Cursor, column: Float64Array | Int32Array): void {
  const last = column.length - 1
  const first = unzigzag(readVarint(cursor))
  const pace = last > 0 ? unzigzag(readVarint(cursor)) : 0
  expectSize(column, Math.max(Math.abs(first), Math.abs(first + last * pace)))
  for (let i = 0; i <= last; i++) column[i] = first + i * pace
}

/** Writes a column as 64-bit integers. */
export function writeWide(cursor: Cursor, column: Ints): void {
  writeBytes(cursor, column instanceof Float64Array ? widened(column, column.length) : column)
}

export function readWide(cursor: Cursor, n: number): Ints {
  const wide = new BigInt64Array(n)
  readBytes(cursor, wide)
  return narrowed(wide)
}

type Column = Float32Array | Float64Array | BigInt64Array

export function writeBytes(cursor: Cursor, column: Column): void {
  cursor.bytes.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), cursor.at)
  cursor.at += column.byteLength
}

export function readBytes(cursor: Cursor, column: Column): void {
  const end = cursor.at + column.byteLength
  if (end > cursor.bytes.length) throw new CorruptPointsError('Metric points are cut')
  new Uint8Array(column.buffer).set(cursor.bytes.subarray(cursor.at, end))
  cursor.at = end
}

/** Whether four bytes hold each value exactly, as they do what `.item()` of a tensor returned. */
export function areFloat32(values: Float64Array): boolean {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number
    if (Math.fround(value) !== value && !Number.isNaN(value)) return false
  }
  return true
}

const floats = new DataView(new ArrayBuffer(8))
const floatBytes = new Uint8Array(floats.buffer)

/** One value in four bytes where they hold it exactly, else in eight. */
export function writeFloat(cursor: Cursor, value: number, size: 4 | 8): void {
  if (size === 4) floats.setFloat32(0, value, true)
  else floats.setFloat64(0, value, true)
  for (let i = 0; i < size; i++) cursor.bytes[cursor.at++] = floatBytes[i] as number
}
