import * as fc from 'fast-check'
import { compareValues } from './point-order.ts'
import { type Int64, type Points, PointsBuilder } from './points.ts'

/** A point as the tests write it; steps and timestamps as bigints, so that rows compare. */
export type Row = [key: number, step: bigint, timestamp: bigint, value: number]

export function pointsOf(
  rows: readonly (readonly [key: number, step: Int64, timestamp: Int64, value: number])[],
): Points {
  const builder = new PointsBuilder(1)
  for (const row of rows) builder.add(...row)
  return builder.points()
}

export function rowsOf(points: Points): Row[] {
  return Array.from({ length: points.n }, (_, i) => [
    points.keys[i] ?? Number.NaN,
    BigInt(points.steps[i] ?? Number.NaN),
    BigInt(points.timestamps[i] ?? Number.NaN),
    points.values[i] ?? Number.POSITIVE_INFINITY,
  ])
}

const int64 = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -300, max: 300 }).map(BigInt) },
  fc.maxSafeInteger().map(BigInt),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(
    2n ** 50n,
    2n ** 50n + 1n,
    -(2n ** 50n),
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 53n + 1n,
    -(2n ** 53n) - 1n,
    2n ** 63n - 1n,
    -(2n ** 63n),
  ),
)

const specialValue = fc.constantFrom(
  Number.NaN,
  -0,
  0,
  1,
  -1,
  Number.MAX_VALUE,
  -Number.MAX_VALUE,
  Number.MIN_VALUE,
  Number.POSITIVE_INFINITY,
)

const key = fc.oneof(fc.nat({ max: 9 }), fc.nat({ max: 2 ** 31 - 1 }))

const wildRows = fc.array<Row>(
  fc.tuple(key, int64, int64, fc.oneof(fc.double(), fc.float(), specialValue)),
  { maxLength: 60 },
)

/** Few distinct points, so that many are equal and most comparisons reach the value. */
const crowdedRows = fc.array<Row>(
  fc.tuple(
    fc.nat({ max: 2 }),
    fc.constantFrom(0n, 1n, 2n ** 53n + 1n),
    fc.constantFrom(0n, 1n),
    specialValue,
  ),
  { maxLength: 60 },
)

/** What a training loop logs: some keys every so many steps, at a more or less even pace. */
const batchRows = fc
  .record({
    keys: fc.integer({ min: 1, max: 12 }),
    rounds: fc.integer({ min: 1, max: 12 }),
    firstStep: fc.constantFrom(0, -5, 2 ** 50 - 40, 2 ** 53 - 20),
    stride: fc.integer({ min: 0, max: 1000 }),
    jitter: fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 9 }),
    values: fc.oneof(
      fc.array(fc.float(), { minLength: 1, maxLength: 5 }),
      fc.array(fc.double(), { minLength: 1, maxLength: 5 }),
      fc.array(specialValue, { minLength: 1, maxLength: 2 }),
    ),
  })
  .map(({ keys, rounds, firstStep, stride, jitter, values }) =>
    Array.from({ length: keys * rounds }, (_, i): Row => {
      const round = Math.floor(i / keys)
      const late = jitter[i % jitter.length] ?? 0
      return [
        1 + (i % keys),
        BigInt(firstStep) + BigInt(round * stride),
        1_700_000_000_000n + BigInt(round * 250 + late),
        values[i % values.length] ?? 0,
      ]
    }),
  )

/** Rows of every kind the codecs must keep: int64 beyond 2^53, NaN, -0, denormals, repeats. */
export const anyRows: fc.Arbitrary<Row[]> = fc.oneof(wildRows, crowdedRows, batchRows)

export const someRows: fc.Arbitrary<Row[]> = anyRows.filter((rows) => rows.length > 0)

/** The order of sealed points, spelt out. */
export function compareRows(a: Row, b: Row): number {
  return (
    a[0] - b[0] || compareInts(a[2], b[2]) || compareInts(a[1], b[1]) || compareValues(a[3], b[3])
  )
}

export function compareInts(a: bigint, b: bigint): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
