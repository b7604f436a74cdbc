import { crc32, zstdCompressSync } from 'node:zlib'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyRows, pointsOf, rowsOf, someRows } from './arbitrary-points.ts'
import { CHUNK_POINTS, cutChunks, decodeChunk, describeChunk, encodeChunk } from './chunk-codec.ts'
import { CorruptPointsError, POINTS_MAX } from './column-codec.ts'
import { sortAndDropEquals } from './point-order.ts'
import { PointsBuilder, selectKeys } from './points.ts'

const sortedPoints = someRows.map((rows) => sortAndDropEquals(pointsOf(rows)))

/** A chunk of any payload, its checksum right. */
function withChecksum(payload: readonly number[]): Uint8Array {
  const bytes = Uint8Array.of(3, 0, 0, 0, 0, ...payload)
  new DataView(bytes.buffer).setUint32(1, crc32(bytes), true)
  return bytes
}

/** A chunk of any body, said to be of that length. */
function chunkOf(body: readonly number[], length = body.length): Uint8Array {
  const varint = [(length % 128) | 128, ((length >> 7) % 128) | 128, ((length >> 14) % 128) | 128]
  return withChecksum([...varint, length >> 21, ...zstdCompressSync(Uint8Array.from(body))])
}

const zeros = Array<number>(10_000).fill(0)

/** `counts[k]` points of key k. */
function seriesOf(counts: readonly number[]) {
  return pointsOf(
    counts.flatMap((count, key) =>
      Array.from({ length: count }, (_, i) => [key, i, 10 * i, Math.sqrt(i)] as const),
    ),
  )
}

describe('a chunk', () => {
  test('gives back the points it was made of', () => {
    fc.assert(
      fc.property(sortedPoints, (points) => {
        expect(decodeChunk(encodeChunk(points))).toEqual(points)
      }),
      { numRuns: 300 },
    )
  })

  test('gives only the keys asked for', () => {
    fc.assert(
      fc.property(sortedPoints, fc.uniqueArray(fc.nat({ max: 9 })), (points, keys) => {
        const only = new Set(keys)
        expect(decodeChunk(encodeChunk(points), only)).toEqual(selectKeys(points, only))
      }),
    )
  })

  test('is the bytes docs/metric-format.md describes', () => {
    const body = '1502020e0102010604d00f010000000000803f3f'
    const frame = `28b52ffd2014a10000${body}`
    const payload = Buffer.from(`14${frame}`, 'hex')
    const bytes = Buffer.concat([Buffer.from([3, 0, 0, 0, 0]), payload])
    bytes.writeUInt32LE(crc32(bytes), 1)

    expect(rowsOf(decodeChunk(bytes))).toEqual([
      [7, 3n, 1000n, 0.5],
      [8, 5n, 999n, 1],
    ])
  })

  test('costs next to nothing where pace and values do not change', () => {
    const points = seriesOf([512, 512])

    expect(
      encodeChunk({ ...points, values: new Float64Array(1024).fill(0.1) }).length,
    ).toBeLessThan(100)
  })

  test('refuses points that are not sorted by key', () => {
    const points = pointsOf([
      [2, 0, 0, 0],
      [1, 0, 0, 0],
    ])

    expect(() => encodeChunk(points)).toThrow('metric key 1 after 2')
  })

  test('is described by its keys, and its least and greatest step and time', () => {
    const points = pointsOf([
      [3, 5, 0, 0],
      [3, -(2n ** 63n), 1, 0],
      [9, 2n ** 63n - 1n, 0, 0],
      [9, 0, 1, 0],
    ])

    expect(describeChunk(points)).toEqual({
      firstKey: 3,
      lastKey: 9,
      steps: [-(2n ** 63n), 2n ** 63n - 1n],
      timestamps: [0, 1],
    })
  })
})

describe('cutting', () => {
  test.each([
    ['ends a piece with a key where that leaves it at least half full', [600, 600, 10], [600, 610]],
    ['takes the last such key', [300, 300, 300, 300], [900, 300]],
    ['cuts through a key that would leave less than half', [400, 900], [1024, 276]],
    ['cuts a long series at 1024 points', [3000], [1024, 1024, 952]],
    ['leaves few points in one piece', [10, 20], [30]],
    ['prefers a full piece that ends with a key', [600, 424, 5], [1024, 5]],
    ['fills a piece that ends with a key to the last point', [1024, 5], [1024, 5]],
  ])('%s', (_name, counts, expected) => {
    const pieces = cutChunks(seriesOf(counts))

    expect(pieces.map(({ n }) => n)).toEqual(expected)
  })

  test('loses nothing and makes no piece too large', () => {
    const counts = fc.array(fc.nat({ max: 1500 }), { maxLength: 12 })
    fc.assert(
      fc.property(counts, (counts) => {
        const points = seriesOf(counts)
        const pieces = cutChunks(points)
        const joined = new PointsBuilder()
        for (const piece of pieces) joined.append(piece)
        expect(joined.points()).toEqual(points)
        expect(Math.max(0, ...pieces.map(({ n }) => n))).toBeLessThanOrEqual(CHUNK_POINTS)
      }),
      { numRuns: 20 },
    )
  })

  test('of no points makes no piece', () => {
    expect(cutChunks(pointsOf([]))).toEqual([])
  })
})

describe('a damaged chunk', () => {
  test('that is cut anywhere, has a byte changed or more appended is refused', () => {
    fc.assert(
      fc.property(
        sortedPoints,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (points, at, change) => {
          const chunk = encodeChunk(points)
          const changed = chunk.slice()
          changed[at % chunk.length] = (changed[at % chunk.length] ?? 0) ^ change
          expect(() => decodeChunk(changed)).toThrow(CorruptPointsError)
          expect(() => decodeChunk(chunk.subarray(0, at % chunk.length))).toThrow(
            CorruptPointsError,
          )
          expect(() => decodeChunk(Uint8Array.of(...chunk, change))).toThrow(CorruptPointsError)
        },
      ),
      { numRuns: 300 },
    )
  })

  test('whose checksum is right is read as valid points or refused, in bounded memory', () => {
    const body = fc.oneof(
      fc.array(fc.nat({ max: 255 }), { maxLength: 60 }),
      fc
        .tuple(fc.constantFrom(0x15, 0x25, 0x1a), fc.array(fc.nat({ max: 9 }), { maxLength: 60 }))
        .map(([modes, rest]) => [modes, ...rest]),
    )
    fc.assert(
      fc.property(body, fc.option(fc.nat({ max: 9 })), (bytes, key) => {
        try {
          const points = decodeChunk(chunkOf(bytes), key === null ? undefined : new Set([key]))
          expect(points.n).toBeLessThanOrEqual(POINTS_MAX)
          expect(pointsOf(rowsOf(points))).toEqual(points)
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptPointsError)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test.each([
    ['that unpacks to more than it says', chunkOf(zeros, 100), 'does not decompress'],
    ['that unpacks to less than it says', chunkOf([0x15, 1], 100), 'A chunk of 2 bytes, not 100'],
    ['that says it unpacks to too much', chunkOf([0x15, 1], 2 ** 22), 'A chunk of 4194304 bytes'],
    ['that is no zstd frame', withChecksum([0x80, 1, 1, 2, 3]), 'does not decompress'],
    ['of another format', Uint8Array.of(1, 0, 0, 0, 0), 'Metric format 1 where 3'],
    ['with fewer points than it says', chunkOf([0x15, 2, 1, 0, 1, ...zeros.slice(0, 10)]), '1 poi'],
    ['with more points than it says', chunkOf([0x15, 1, 1, 0, 2, 0, 0, 0, 0, 0, 0]), '2 points'],
    ['with more series than points', chunkOf([0x15, 1, 2, 0, 1, 0, 0, 0, 0, 0, 0]), '1 points in'],
    ['with an empty series', chunkOf([0x15, 1, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]), 'of 0 metric'],
    [
      'with a value that is cut',
      chunkOf([0x15, 1, 1, 0, 1, 0, 0, 0, 0, 0]),
      'end at byte 11 of 10',
    ],
  ])('%s is refused', (_name, bytes, message) => {
    expect(() => decodeChunk(bytes)).toThrow(CorruptPointsError)
    expect(() => decodeChunk(bytes)).toThrow(message)
  })

  test('is the only thing that is refused', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        for (const piece of cutChunks(sortAndDropEquals(pointsOf(rows)))) {
          expect(rowsOf(decodeChunk(encodeChunk(piece)))).toEqual(rowsOf(piece))
        }
      }),
    )
  })
})
