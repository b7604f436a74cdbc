import { crc32 } from 'node:zlib'

const PRELUDE_BYTES = 12
const CHECKSUM_BYTES = 4
/** Of a header's value: a text with a length of two bytes. */
const STRING_TYPE = 7

/**
 * One message of `application/vnd.amazon.eventstream`: both lengths and their checksum, the headers,
 * the payload, and the checksum of all.
 */
export function eventFrame(headers: Record<string, string>, payload: Buffer): Buffer {
  const head = Buffer.concat(
    Object.entries(headers).map(([name, value]) => {
      const text = Buffer.from(value)
      const kind = Buffer.from([STRING_TYPE, text.length >> 8, text.length & 0xff])
      return Buffer.concat([Buffer.from([Buffer.byteLength(name)]), Buffer.from(name), kind, text])
    }),
  )
  const bytes = PRELUDE_BYTES + head.length + payload.length + CHECKSUM_BYTES
  const frame = Buffer.alloc(bytes)
  frame.writeUInt32BE(bytes, 0)
  frame.writeUInt32BE(head.length, 4)
  frame.writeUInt32BE(crc32(frame.subarray(0, 8)), 8)
  head.copy(frame, PRELUDE_BYTES)
  payload.copy(frame, PRELUDE_BYTES + head.length)
  frame.writeUInt32BE(crc32(frame.subarray(0, bytes - CHECKSUM_BYTES)), bytes - CHECKSUM_BYTES)
  return frame
}
