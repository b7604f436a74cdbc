import { AwsError } from './aws-error.ts'

const DATE_TAG = 1
const DEPTH_MAX = 32
const BREAK = Symbol('break')

/**
 * The part of CBOR (RFC 8949) that AWS's RPC protocol uses. Numbers that are whole are integers, all
 * others doubles; a Date is a time in seconds (tag 1); members that are undefined are left out.
 */
export function encodeCbor(value: unknown): Buffer {
  const parts: Buffer[] = []
  write(value, parts)
  return Buffer.concat(parts)
}

function write(value: unknown, parts: Buffer[]): void {
  if (value === null || value === undefined) parts.push(Buffer.from([0xf6]))
  else if (typeof value === 'boolean') parts.push(Buffer.from([value ? 0xf5 : 0xf4]))
  else if (typeof value === 'number') writeNumber(value, parts)
  else if (typeof value === 'string') {
    const text = Buffer.from(value)
    parts.push(head(3, text.length), text)
  } else if (value instanceof Date) {
    parts.push(head(6, DATE_TAG))
    writeNumber(value.getTime() / 1000, parts)
  } else if (Array.isArray(value)) {
    parts.push(head(4, value.length))
    for (const item of value) write(item, parts)
  } else {
    const members = Object.entries(value).filter(([, inner]) => inner !== undefined)
    parts.push(head(5, members.length))
    for (const [name, inner] of members) {
      write(name, parts)
      write(inner, parts)
    }
  }
}

function writeNumber(value: number, parts: Buffer[]): void {
  if (Number.isSafeInteger(value)) {
    parts.push(value < 0 ? head(1, -1 - value) : head(0, value))
    return
  }
  const double = Buffer.alloc(9)
  double[0] = 0xfb
  double.writeDoubleBE(value, 1)
  parts.push(double)
}

function head(kind: number, size: number): Buffer {
  const bits = kind << 5
  if (size < 24) return Buffer.from([bits | size])
  if (size < 0x1_0000) {
    const short = Buffer.from([bits | 25, 0, 0])
    short.writeUInt16BE(size, 1)
    return short
  }
  const long = Buffer.alloc(9)
  long[0] = bits | 27
  long.writeBigUInt64BE(BigInt(size), 1)
  return long
}

/**
 * Reads one value; a time is a number of seconds.
 *
 * @throws AwsError SerializationException when it is not CBOR
 */
export function decodeCbor(bytes: Buffer): unknown {
  const reader = new CborReader(bytes)
  try {
    return reader.read(0)
  } catch (cause) {
    if (cause instanceof AwsError) throw cause
    throw new AwsError('SerializationException', 'The body of the request is not CBOR.', { cause })
  }
}

class CborReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  read(depth: number): unknown {
    const value = this.#readOrBreak(depth)
    if (value === BREAK) throw refusal('it ends a list that it has not begun')
    return value
  }

  #readOrBreak(depth: number): unknown {
    if (depth > DEPTH_MAX) throw refusal(`it is deeper than ${DEPTH_MAX} levels`)
    const first = this.#bytes.readUInt8(this.#at)
    this.#at += 1
    const kind = first >> 5
    const bits = first & 31
    if (kind === 7) return this.#readSimple(bits)
    const size = bits === 31 ? undefined : this.#readSize(bits)
    switch (kind) {
      case 0:
        return size
      case 1:
        return -1 - (size ?? 0)
      case 2:
      case 3: {
        const text = this.#readText(size, depth)
        return kind === 3 ? text.toString('utf8') : text
      }
      case 4:
        return this.#readItems(size, depth)
      case 5:
        return this.#readMap(size, depth)
      default:
        return this.read(depth + 1)
    }
  }

  #readSize(bits: number): number {
    if (bits < 24) return bits
    const length = 2 ** (bits - 24)
    if (length > 8) throw refusal('it has a length that is none')
    const high = length === 8 ? this.#bytes.readUInt32BE(this.#at) : 0
    const rest = Math.min(length, 4)
    const low = this.#bytes.readUIntBE(this.#at + length - rest, rest)
    this.#at += length
    return high * 2 ** 32 + low
  }

  #readSimple(bits: number): unknown {
    const at = this.#at
    switch (bits) {
      case 20:
      case 21:
        return bits === 21
      case 22:
      case 23:
        return null
      case 26:
        this.#at += 4
        return this.#bytes.readFloatBE(at)
      case 27:
        this.#at += 8
        return this.#bytes.readDoubleBE(at)
      case 31:
        return BREAK
      default:
        throw refusal(`it has the simple value ${bits}`)
    }
  }

  #readText(size: number | undefined, depth: number): Buffer {
    if (size === undefined) {
      return Buffer.concat(
        this.#readItems(undefined, depth).map((part) => Buffer.from(String(part))),
      )
    }
    if (this.#at + size > this.#bytes.length) throw refusal('it ends too early')
    const text = this.#bytes.subarray(this.#at, this.#at + size)
    this.#at += size
    return text
  }

  #readItems(size: number | undefined, depth: number): unknown[] {
    const items: unknown[] = []
    while (size === undefined || items.length < size) {
      const item = this.#readOrBreak(depth + 1)
      if (item === BREAK) return items
      items.push(item)
    }
    return items
  }

  #readMap(size: number | undefined, depth: number): Record<string, unknown> {
    const members: [string, unknown][] = []
    while (size === undefined || members.length < size) {
      const name = this.#readOrBreak(depth + 1)
      if (name === BREAK) break
      members.push([String(name), this.read(depth + 1)])
    }
    return Object.fromEntries(members)
  }
}

function refusal(reason: string): AwsError {
  return new AwsError('SerializationException', `The body of the request is not CBOR: ${reason}.`)
}
