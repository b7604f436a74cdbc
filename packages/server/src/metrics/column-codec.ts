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

/** Writes the envelope of a body that stands at `ENVELOPE_BYTES`, after zeros. */
export function sealEnvelope(bytes: Uint8Array, format: number): void {
  bytes[0] = format
  const sum = crc32(bytes)
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
  const stored = readUint32(bytes, 1)
  if (stored !== crc32(bytes.subarray(ENVELOPE_BYTES), headSums[format])) {
    throw new CorruptPointsError(`Checksum mismatch in ${bytes.length} bytes of metric points`)
  }
  return { bytes, at: ENVELOPE_BYTES }
}

/** Checksums of the envelopes of formats 0 to 3 with zeros for a checksum. */
const headSums = [0, 1, 2, 3].map((format) => crc32(Uint8Array.of(format, 0, 0, 0, 0)))

function readUint32(bytes: Uint8Array, at: number): number {
  if (at + 4 > bytes.length) throw new CorruptPointsError('Metric points are cut')
  let value = 0
  for (let i = 3; i >= 0; i--) value = (value << 8) | (bytes[at + i] as number)
  return value >>> 0
}

/** Every decoder ends here; a column that was read past the end has moved the cursor there too. */
export function expectEnd(cursor: Cursor): void {
  if (cursor.at !== cursor.bytes.length) {
    throw new CorruptPointsError(`Metric points end at byte ${cursor.at} of ${cursor.bytes.length}`)
  }
}

/** Writes an integer from 0 to 2^53, seven bits a byte, low bits first. */
export function writeVarint(cursor: Cursor, value: number): void {
  const { bytes } = cursor
  let rest = value
  // The bit operators see the low 32 bits of any integer, and are much faster than a remainder.
  while (rest >= 128) {
    const low = rest & 127
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

/**
 * Writes values `from` to `to` as the first one's distance to `origin`, the first difference, then
 * differences of differences: one byte a point for anything that runs at an even pace. Returns
 * whether they could be written so.
 */
export function writeDifferences(
  cursor: Cursor,
  column: Float64Array,
  { from, to, origin }: Segment,
): boolean {
  const { bytes } = cursor
  let at = cursor.at
  let previous = origin
  let pace = 0
  for (let i = from; i < to; i++) {
    const value = column[i] as number
    if (value > DIFFERENCES_MAX || value < -DIFFERENCES_MAX) return false
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
  return true
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
  column: Float64Array,
  { from, to, origin }: Segment,
): void {
  const { bytes } = cursor
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
    greatest = Math.max(greatest, Math.abs(value))
  }
  cursor.at = at
  expectSmall(greatest)
}

/** The value, if it is one that `writeDifferences` or `writeLinear` wrote. */
export function expectSmall(value: number): number {
  if (Math.abs(value) > DIFFERENCES_MAX) {
    throw new CorruptPointsError(`${value} in a metric column of small integers`)
  }
  return value
}

/** The value, if it can be the id of a metric's name. */
export function expectKey(value: number): number {
  if (value !== (value | 0)) throw new CorruptPointsError(`A metric key ${value}`)
  return value
}

/**
 * Writes a column whose differences are all the same, as those of a batch that logs one step are:
 * its first value and, of two values or more, the difference. Returns whether it was one.
 */
export function writeLinear(cursor: Cursor, column: Float64Array): boolean {
  const { length } = column
  const first = column[0] as number
  const pace = length > 1 ? (column[1] as number) - first : 0
  const last = first + (length - 1) * pace
  if (Math.max(Math.abs(first), Math.abs(last)) > DIFFERENCES_MAX) return false
  for (let i = 2, expected = first + pace; i < length; i++) {
    expected += pace
    if (column[i] !== expected) return false
  }
  writeVarint(cursor, zigzag(first))
  if (length > 1) writeVarint(cursor, zigzag(pace))
  return true
}

export function readLinear(cursor: Cursor, column: Float64Array): void {
  const last = column.length - 1
  const first = unzigzag(readVarint(cursor))
  const pace = last > 0 ? unzigzag(readVarint(cursor)) : 0
  expectSmall(first)
  expectSmall(first + last * pace)
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

/** Writes one value in as many bytes. */
export function writeFloat(cursor: Cursor, value: number, size: 4 | 8): void {
  if (size === 4) floats.setFloat32(0, value, true)
  else floats.setFloat64(0, value, true)
  for (let i = 0; i < size; i++) cursor.bytes[cursor.at++] = floatBytes[i] as number
}

export function readFloat(cursor: Cursor, size: 4 | 8): number {
  for (let i = 0; i < size; i++) floatBytes[i] = cursor.bytes[cursor.at++] as number
  return size === 4 ? floats.getFloat32(0, true) : floats.getFloat64(0, true)
}
