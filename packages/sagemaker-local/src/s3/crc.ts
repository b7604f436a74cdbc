import { crc32 } from 'node:zlib'

/**
 * The cyclic checksums of S3: CRC-32 (zlib's), CRC-32C (Castagnoli) and CRC-64/NVME, all reflected
 * with all ones before and after. Polynomials are in reflected form.
 */
const CASTAGNOLI = 0x82f63b78
const NVME = 0x9a6c9329ac4bc9b5n
const POLYNOMIAL = {
  CRC32: { reflected: 0xedb88320n, width: 32 },
  CRC32C: { reflected: BigInt(CASTAGNOLI), width: 32 },
  CRC64NVME: { reflected: NVME, width: 64 },
} as const

export type CrcAlgorithm = keyof typeof POLYNOMIAL

/** A checksum over bytes that arrive in pieces; `digest` is big-endian, as S3 encodes it. */
export interface RunningChecksum {
  update(chunk: Uint8Array): void
  digest(): Buffer
}

/** Starts the checksum of no bytes. */
export function startCrc(algorithm: CrcAlgorithm): RunningChecksum {
  if (algorithm === 'CRC64NVME') return startCrc64()
  const step = algorithm === 'CRC32' ? crc32 : crc32c
  let value = 0
  return {
    update: (chunk) => {
      value = step(chunk, value)
    },
    digest: () => {
      const digest = Buffer.alloc(4)
      digest.writeUInt32BE(value >>> 0)
      return digest
    },
  }
}

/**
 * The checksum of parts one after the other from the checksum and size in bytes of each part: how
 * S3 makes the FULL_OBJECT checksum of a multipart upload without reading it again.
 */
export function combineCrcs(
  algorithm: CrcAlgorithm,
  parts: { digest: Buffer; sizeBytes: number }[],
): Buffer {
  const { reflected, width } = POLYNOMIAL[algorithm]
  const shifts = new Map<number, bigint>()
  let value = 0n
  for (const { digest, sizeBytes } of parts) {
    let shift = shifts.get(sizeBytes)
    if (shift === undefined) {
      shift = powerOfX(BigInt(sizeBytes) * 8n, reflected, width)
      shifts.set(sizeBytes, shift)
    }
    value = multiply(shift, value, reflected, width) ^ BigInt(`0x${digest.toString('hex')}`)
  }
  return Buffer.from(value.toString(16).padStart(width / 4, '0'), 'hex')
}

/** The product of two polynomials modulo the checksum's own; the highest bit is x to the 0. */
function multiply(left: bigint, right: bigint, polynomial: bigint, width: number): bigint {
  let product = 0n
  let factor = right
  for (let bit = 1n << BigInt(width - 1); bit > 0n; bit >>= 1n) {
    if (left & bit) product ^= factor
    factor = factor & 1n ? (factor >> 1n) ^ polynomial : factor >> 1n
  }
  return product
}

function powerOfX(exponent: bigint, polynomial: bigint, width: number): bigint {
  let power = 1n << BigInt(width - 1)
  let square = 1n << BigInt(width - 2)
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) power = multiply(power, square, polynomial, width)
    square = multiply(square, square, polynomial, width)
  }
  return power
}

// Eight tables let a step take eight bytes; one table is five times slower in V8.
const SLICES = 8
let castagnoliTables: Uint32Array[] | undefined

function crc32c(chunk: Uint8Array, start: number): number {
  castagnoliTables ??= tables32(CASTAGNOLI)
  const [t0, t1, t2, t3, t4, t5, t6, t7] = castagnoliTables as Eight
  const whole = chunk.length - (chunk.length % SLICES)
  let crc = ~start
  let at = 0
  for (; at < whole; at += SLICES) {
    crc ^= word(chunk, at)
    crc =
      at32(t7, crc) ^
      at32(t6, crc >>> 8) ^
      at32(t5, crc >>> 16) ^
      at32(t4, crc >>> 24) ^
      at32(t3, byte(chunk, at + 4)) ^
      at32(t2, byte(chunk, at + 5)) ^
      at32(t1, byte(chunk, at + 6)) ^
      at32(t0, byte(chunk, at + 7))
  }
  for (; at < chunk.length; at++) crc = (crc >>> 8) ^ at32(t0, crc ^ byte(chunk, at))
  return ~crc >>> 0
}

type Eight = [
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
  Uint32Array,
]

function tables32(polynomial: number): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, index) => {
    let crc = index
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    return crc
  })
  const tables = [first]
  for (let slice = 1; slice < SLICES; slice++) {
    const last = tables[slice - 1] ?? first
    tables.push(last.map((crc) => (crc >>> 8) ^ at32(first, crc)))
  }
  return tables
}

let nvmeTables: { low: Uint32Array[]; high: Uint32Array[] } | undefined

function startCrc64(): RunningChecksum {
  nvmeTables ??= tables64(NVME)
  const tables = nvmeTables
  const state = Int32Array.of(-1, -1)
  return {
    update: (chunk) => advanceCrc64(tables, state, chunk),
    digest: () => {
      const [low = 0, high = 0] = state
      const digest = Buffer.alloc(8)
      digest.writeUInt32BE(~high >>> 0, 0)
      digest.writeUInt32BE(~low >>> 0, 4)
      return digest
    },
  }
}

/** Goes on by a chunk; `state` holds the low and the high half, which 32-bit arithmetic keeps fast. */
function advanceCrc64(
  tables: { low: Uint32Array[]; high: Uint32Array[] },
  state: Int32Array,
  chunk: Uint8Array,
): void {
  const [l0, l1, l2, l3, l4, l5, l6, l7] = tables.low as Eight
  const [h0, h1, h2, h3, h4, h5, h6, h7] = tables.high as Eight
  const whole = chunk.length - (chunk.length % SLICES)
  let low = state[0] as number
  let high = state[1] as number
  let at = 0
  for (; at < whole; at += SLICES) {
    const a = low ^ word(chunk, at)
    const b = high ^ word(chunk, at + 4)
    low =
      at32(l7, a) ^
      at32(l6, a >>> 8) ^
      at32(l5, a >>> 16) ^
      at32(l4, a >>> 24) ^
      at32(l3, b) ^
      at32(l2, b >>> 8) ^
      at32(l1, b >>> 16) ^
      at32(l0, b >>> 24)
    high =
      at32(h7, a) ^
      at32(h6, a >>> 8) ^
      at32(h5, a >>> 16) ^
      at32(h4, a >>> 24) ^
      at32(h3, b) ^
      at32(h2, b >>> 8) ^
      at32(h1, b >>> 16) ^
      at32(h0, b >>> 24)
  }
  for (; at < chunk.length; at++) {
    const index = (low ^ byte(chunk, at)) & 0xff
    low = ((low >>> 8) | (high << 24)) ^ at32(l0, index)
    high = (high >>> 8) ^ at32(h0, index)
  }
  state[0] = low
  state[1] = high
}

function tables64(polynomial: bigint): { low: Uint32Array[]; high: Uint32Array[] } {
  const first = Array.from({ length: 256 }, (_, index) => {
    let crc = BigInt(index)
    for (let bit = 0; bit < 8; bit++) crc = crc & 1n ? (crc >> 1n) ^ polynomial : crc >> 1n
    return crc
  })
  const tables = [first]
  for (let slice = 1; slice < SLICES; slice++) {
    const last = tables[slice - 1] ?? first
    tables.push(last.map((crc) => (crc >> 8n) ^ (first[Number(crc & 0xffn)] ?? 0n)))
  }
  return {
    low: tables.map((table) => Uint32Array.from(table, (crc) => Number(crc & 0xffffffffn))),
    high: tables.map((table) => Uint32Array.from(table, (crc) => Number(crc >> 32n))),
  }
}

/** Four bytes, the first one lowest. */
function word(chunk: Uint8Array, at: number): number {
  return (
    byte(chunk, at) |
    (byte(chunk, at + 1) << 8) |
    (byte(chunk, at + 2) << 16) |
    (byte(chunk, at + 3) << 24)
  )
}

function byte(chunk: Uint8Array, at: number): number {
  return chunk[at] as number
}

function at32(table: Uint32Array, index: number): number {
  return table[index & 0xff] as number
}
