/** ASN.1 values in DER, as much of it as certificates need. */
export const der = {
  sequence: (...items: Buffer[]) => tagged(0x30, ...items),
  set: (...items: Buffer[]) => tagged(0x31, ...items),
  /** `[number]` around whole values. */
  explicit: (number: number, ...items: Buffer[]) => tagged(0xa0 + number, ...items),
  /** `[number]` in place of the tag of a value that is bytes. */
  implicit: (number: number, bytes: Buffer) => tagged(0x80 + number, bytes),
  true: () => tagged(0x01, Buffer.from([0xff])),
  /** Not below zero: bytes whose first bit is set get a zero in front. */
  integer: (bytes: Buffer) =>
    tagged(0x02, (bytes[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.of(0), bytes]) : bytes),
  bits: (bytes: Buffer, unused = 0) => tagged(0x03, Buffer.from([unused]), bytes),
  octets: (bytes: Buffer) => tagged(0x04, bytes),
  text: (value: string) => tagged(0x0c, Buffer.from(value)),
  objectId,
  time,
}

function tagged(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  return Buffer.concat([Buffer.from([tag]), lengthOf(content), content])
}

function lengthOf({ length }: Buffer): Buffer {
  if (length < 0x80) return Buffer.from([length])
  if (length < 0x100) return Buffer.from([0x81, length])
  return Buffer.from([0x82, length >> 8, length & 0xff])
}

/** Of `2.5.29.17` and the like. */
function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): number[] {
  const groups = [value & 0x7f]
  for (let left = value >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80)
  return groups
}

/** A UTCTime, which ends with the year 2049. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14)
  return tagged(0x17, Buffer.from(`${digits}Z`))
}
