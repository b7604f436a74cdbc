import { invalid } from '@millrace/api/errors'

export type SplitType = 'None' | 'Line' | 'RecordIO' | 'TFRecord'

const RECORD_IO_MAGIC = 0xced7230a
const LENGTH_MASK = 0x1fffffff

/**
 * The records of an object as they come: lines without their ends, records of RecordIO and TFRecord
 * with their frames, or the object as a whole.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when a record is larger than `bytesMax`, or is none
 */
export async function* splitRecords(
  body: AsyncIterable<Uint8Array>,
  splitType: SplitType,
  bytesMax: number,
): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const chunk of body) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    let at = 0
    for (;;) {
      const found = nextRecord(rest.subarray(at), splitType)
      if (!found) break
      at += found.bytes
      if (found.record.length > bytesMax) throw tooLarge(splitType, bytesMax)
      if (found.record.length > 0) yield found.record
    }
    rest = rest.subarray(at)
    if (rest.length > bytesMax) throw tooLarge(splitType, bytesMax)
  }
  if (rest.length === 0) return
  if (splitType === 'RecordIO' || splitType === 'TFRecord') {
    throw invalid(`The input ends in the middle of a record of ${splitType}.`)
  }
  const last = splitType === 'Line' ? withoutReturn(rest) : rest
  if (last.length > 0) yield last
}

function nextRecord(
  bytes: Buffer,
  splitType: SplitType,
): { record: Buffer; bytes: number } | undefined {
  switch (splitType) {
    case 'None':
      return undefined
    case 'Line': {
      const end = bytes.indexOf(0x0a)
      if (end < 0) return undefined
      return { record: withoutReturn(bytes.subarray(0, end)), bytes: end + 1 }
    }
    case 'RecordIO': {
      if (bytes.length < 8) return undefined
      if (bytes.readUInt32LE(0) !== RECORD_IO_MAGIC) {
        throw invalid('The input is not RecordIO: a record does not begin with its magic number.')
      }
      const length = bytes.readUInt32LE(4) & LENGTH_MASK
      return framed(bytes, 8 + Math.ceil(length / 4) * 4)
    }
    case 'TFRecord': {
      if (bytes.length < 12) return undefined
      return framed(bytes, 16 + Number(bytes.readBigUInt64LE(0)))
    }
  }
}

function framed(bytes: Buffer, length: number) {
  return bytes.length < length ? undefined : { record: bytes.subarray(0, length), bytes: length }
}

function withoutReturn(line: Buffer): Buffer {
  return line.at(-1) === 0x0d ? line.subarray(0, -1) : line
}

function tooLarge(splitType: SplitType, bytesMax: number) {
  const mib = bytesMax / 2 ** 20
  return invalid(
    splitType === 'None'
      ? `The object is larger than MaxPayloadInMB (${mib} MB) and goes to the model as a whole: set ` +
          'SplitType, or a larger MaxPayloadInMB.'
      : `A record is larger than MaxPayloadInMB (${mib} MB).`,
  )
}

/** Records that go to the model together. */
export interface Batch {
  records: Buffer[]
  body: Buffer
}

/**
 * Puts records into the bodies of requests: as many as fit, or each alone. `header` is the first line
 * of a CSV file, which the body of every request begins with.
 */
export async function* batchRecords(
  records: AsyncIterable<Buffer>,
  options: {
    isSingle: boolean
    splitType: SplitType
    bytesMax: number
    header: Buffer | undefined
  },
): AsyncGenerator<Batch> {
  const { isSingle, splitType, bytesMax, header } = options
  const end = splitType === 'Line' ? 1 : 0
  let batch: Buffer[] = []
  let bytes = 0
  const made = (): Batch => ({ records: batch, body: bodyOf(batch, header, splitType) })
  for await (const record of records) {
    const isFull = batch.length > 0 && (isSingle || bytes + record.length + end > bytesMax)
    if (isFull) {
      yield made()
      batch = []
      bytes = 0
    }
    batch.push(record)
    bytes += record.length + end
  }
  if (batch.length > 0) yield made()
}

function bodyOf(records: Buffer[], header: Buffer | undefined, splitType: SplitType): Buffer {
  if (splitType !== 'Line') return Buffer.concat(records)
  const newline = Buffer.from('\n')
  return Buffer.concat([...(header ? [header] : []), ...records].flatMap((one) => [one, newline]))
}
