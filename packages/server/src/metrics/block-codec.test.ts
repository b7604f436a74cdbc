import { crc32 } from 'node:zlib'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { pointsOf, rowsOf, someRows } from './arbitrary-points.ts'
import { decodeBlock, decodeBlockInto, encodeBlock, encodeOne, joinBlocks } from './block-codec.ts'
import { CorruptPointsError, POINTS_MAX } from './column-codec.ts'
import { type Points, PointsBuilder } from './points.ts'

function withChecksum(format: number, body: readonly number[]): Uint8Array {
  const bytes = Uint8Array.of(format, 0, 0, 0, 0, ...body)
  new DataView(bytes.buffer).setUint32(1, crc32(bytes), true)
  return bytes
}

function batch(n: number, value: (i: number) => number): Points {
  return pointsOf(Array.from({ length: n }, (_, i) => [1, i, 1_700_000_000_000 + 7 * i, value(i)]))
}

describe('a block', () => {
  test('gives back the points it was made of, in their order', () => {
    fc.assert(
      fc.property(someRows, (rows) => {
        const points = pointsOf(rows)
        expect(decodeBlock(encodeBlock(points))).toEqual(points)
      }),
      { numRuns: 500 },
    )
  })

  test('reads from a buffer in which it does not start at 0', () => {
    fc.assert(
      fc.property(someRows, fc.integer({ min: 1, max: 8 }), (rows, offset) => {
        const block = encodeBlock(pointsOf(rows))
        const shifted = new Uint8Array(block.length + offset).subarray(offset)
        shifted.set(block)
        expect(rowsOf(decodeBlock(shifted))).toEqual(rows)
      }),
    )
  })

  test('of one point is the same bytes without columns', () => {
    fc.assert(
      fc.property(someRows, ([row]) => {
        if (!row) return
        const [key, step, timestamp, value] = row
        const one = encodeBlock(pointsOf([row]))
        expect(encodeOne(key, step, timestamp, value)).toEqual(one)
        if (BigInt(Number(step)) !== step || BigInt(Number(timestamp)) !== timestamp) return
        expect(encodeOne(key, Number(step), Number(timestamp), value)).toEqual(one)
      }),
      { numRuns: 500 },
    )
  })

  test('has the bytes docs/metric-format.md shows', () => {
    expect(Buffer.from(encodeOne(7, 3, 1000, 0.5)).toString('hex')).toBe(
      '01274abbb740010e06d00f0000003f',
    )
  })

  test('is no larger than its values when the rest runs at an even pace', () => {
    const header = 5 + 1 + 2 + 2 + 2 + 6 + 1

    expect(encodeBlock(batch(1000, Math.fround))).toHaveLength(header + 4 * 1000)
    expect(encodeBlock(batch(1000, Math.sqrt))).toHaveLength(header + 8 * 1000)
    expect(encodeBlock(batch(1000, () => 0.1))).toHaveLength(header + 8)
  })

  test('holds more points than one part may', () => {
    const points = batch(POINTS_MAX + 10, Math.sqrt)

    expect(decodeBlock(encodeBlock(points))).toEqual(points)
  })

  test('is not made of no points', () => {
    expect(() => encodeBlock(pointsOf([]))).toThrow('a block of no points')
  })

  test('refuses a step that is no int64', () => {
    expect(() => encodeOne(1, 2n ** 63n, 0, 0)).toThrow(RangeError)
    expect(() => encodeOne(1, 0, 0.5, 0)).toThrow(RangeError)
  })
})

describe('joined blocks', () => {
  test('give the points of all in order, however they were joined', () => {
    fc.assert(
      fc.property(fc.array(someRows, { minLength: 2, maxLength: 5 }), fc.nat(), (batches, cut) => {
        const blocks = batches.map((rows) => encodeBlock(pointsOf(rows)))
        const at = 1 + (cut % (blocks.length - 1))
        const twice = joinBlocks([joinBlocks(blocks.slice(0, at)), joinBlocks(blocks.slice(at))])
        expect(decodeBlock(twice)).toEqual(pointsOf(batches.flat()))
        expect(joinBlocks(blocks)).toEqual(twice)
      }),
    )
  })

  test('append to what a reader has', () => {
    const builder = new PointsBuilder()
    builder.add(1, 1, 1, 1)
    decodeBlockInto(builder, joinBlocks([encodeOne(2, 2, 2, 2), encodeOne(3, 3, 3, 3)]))

    expect(rowsOf(builder.points())).toEqual([
      [1, 1n, 1n, 1],
      [2, 2n, 2n, 2],
      [3, 3n, 3n, 3],
    ])
  })
})

describe('a damaged block', () => {
  const nines = [128, 128, 128, 128, 128, 128, 128, 128, 0]
  const large = [128, 128, 128, 128, 128, 128, 128, 8]
  const anyBlock = fc
    .array(someRows, { minLength: 1, maxLength: 3 })
    .map((batches) => joinBlocks(batches.map((rows) => encodeBlock(pointsOf(rows)))))

  test('that is cut anywhere is refused', () => {
    fc.assert(
      fc.property(anyBlock, fc.nat(), (block, cut) => {
        expect(() => decodeBlock(block.subarray(0, cut % block.length))).toThrow(CorruptPointsError)
      }),
      { numRuns: 500 },
    )
  })

  test('that has a byte changed or more appended is refused', () => {
    fc.assert(
      fc.property(anyBlock, fc.nat(), fc.integer({ min: 1, max: 255 }), (block, at, change) => {
        const changed = block.slice()
        changed[at % block.length] = (changed[at % block.length] ?? 0) ^ change
        expect(() => decodeBlock(changed)).toThrow(CorruptPointsError)
        expect(() => decodeBlock(Uint8Array.of(...block, change))).toThrow(CorruptPointsError)
      }),
      { numRuns: 500 },
    )
  })

  test('whose checksum is right is read as valid points or refused, in bounded memory', () => {
    const body = fc.oneof(
      fc.array(fc.nat({ max: 255 }), { maxLength: 60 }),
      fc
        .tuple(someRows, fc.nat(), fc.nat({ max: 255 }))
        .map(([rows, at, byte]) => [...encodeBlock(pointsOf(rows)).subarray(5)].with(at % 9, byte)),
    )
    fc.assert(
      fc.property(body, (bytes) => {
        try {
          const points = decodeBlock(withChecksum(1, bytes))
          expect(points.n).toBeLessThanOrEqual(POINTS_MAX)
          expect(pointsOf(rowsOf(points))).toEqual(points)
          const builder = new PointsBuilder()
          decodeBlockInto(builder, withChecksum(1, bytes))
          expect(builder.points()).toEqual(points)
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptPointsError)
        }
      }),
      { numRuns: 1000 },
    )
  })

  test.each([
    ['no bytes', []],
    ['an unknown format', [9, 1, 2, 3, 4]],
    ['more points than a block holds', withChecksum(1, [0, 255, 255, 255, 255, 7, 0, 0, 0])],
    ['an unknown mode', withChecksum(1, [0xff, 1, 0, 0, 0, 0, 0, 0, 0])],
    ['no points', withChecksum(1, [0x40, 0, 0, 0, 0])],
    ['a number of nine bytes', withChecksum(1, [0x40, 1, ...nines, 0, 0, 0, 0, 0, 0])],
    ['a linear step beyond 2^50', withChecksum(1, [0x40, 1, 0, ...large, 0, 0, 0, 0, 0])],
    ['another step beyond 2^50', withChecksum(1, [0x44, 1, 0, ...large, 0, 0, 0, 0, 0])],
    ['a key beyond 2^31', withChecksum(1, [0x40, 1, 128, 128, 128, 128, 16, 0, 0, 0, 0, 0, 0])],
    ['a key of 64 bits', withChecksum(1, [0x42, 1, 7, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0])],
    ['a value that is cut', withChecksum(1, [0x40, 1, 0, 0, 0, 0, 0])],
    ['a count of parts that never ends', [2, ...Array<number>(9).fill(255)]],
    ['parts that are not there', [2, 255, 255, 255, 255, 7]],
  ])('with %s is refused', (_name, bytes) => {
    expect(() => decodeBlock(Uint8Array.from(bytes))).toThrow(CorruptPointsError)
    expect(() => decodeBlockInto(new PointsBuilder(), Uint8Array.from(bytes))).toThrow(
      CorruptPointsError,
    )
  })
})
