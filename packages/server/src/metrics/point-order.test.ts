import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  anyRows,
  compareInts,
  compareRows,
  pointsOf,
  type Row,
  rowsOf,
} from './arbitrary-points.ts'
import { compareValues, numberKeys, orderColumn, sortAndDropEquals } from './point-order.ts'

/** MLflow's primary key: NaN as (0, is_nan), 0 and -0 the same. */
function identityOf([key, step, timestamp, value]: Row): string {
  return `${key} ${timestamp} ${step} ${value === 0 ? 0 : value}`
}

describe('sorting', () => {
  test('equals a naive sort that keeps one point of each primary key', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const sorted = rows.toSorted(compareRows)
        const kept = sorted.filter(
          (row, i) => sorted.findIndex((other) => identityOf(other) === identityOf(row)) === i,
        )
        expect(rowsOf(sortAndDropEquals(pointsOf(rows)))).toEqual(kept)
      }),
      { numRuns: 300 },
    )
  })

  test('gives the same points for every order of arrival', () => {
    const shuffled = anyRows.chain((rows) =>
      fc.tuple(
        fc.constant(rows),
        fc.shuffledSubarray(rows, { minLength: rows.length, maxLength: rows.length }),
      ),
    )
    fc.assert(
      fc.property(shuffled, ([rows, others]) => {
        expect(sortAndDropEquals(pointsOf([...others, ...rows]))).toEqual(
          sortAndDropEquals(pointsOf(rows)),
        )
      }),
    )
  })

  test('hands sorted points back without copying them', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const sorted = sortAndDropEquals(pointsOf(rows))
        expect(sortAndDropEquals(sorted)).toBe(sorted)
      }),
    )
  })

  test('orders a key by timestamp, then step, then value with NaN as a zero that comes last', () => {
    const points = pointsOf([
      [1, 0, 2, 3],
      [1, 0, 2, Number.NaN],
      [1, 0, 2, 0],
      [1, 0, 2, -3],
      [1, 0, 2, Number.NaN],
      [1, 0, 2, -0],
      [1, 2, 1, 9],
      [0, 9, 9, 9],
    ])

    expect(rowsOf(sortAndDropEquals(points))).toEqual([
      [0, 9n, 9n, 9],
      [1, 2n, 1n, 9],
      [1, 0n, 2n, -3],
      [1, 0n, 2n, -0],
      [1, 0n, 2n, Number.NaN],
      [1, 0n, 2n, 3],
    ])
  })

  test.each([
    [[0, -0], [-0]],
    [
      [Number.NaN, 0],
      [0, Number.NaN],
    ],
    [
      [Number.NaN, -1],
      [-1, Number.NaN],
    ],
    [
      [1, Number.NaN],
      [Number.NaN, 1],
    ],
    [[Number.NaN, Number.NaN], [Number.NaN]],
  ])('puts the values %j of one step right', (values, expected) => {
    const points = pointsOf(values.map((value) => [1, 0, 0, value]))

    expect([...sortAndDropEquals(points).values]).toEqual(expected)
  })

  test('tells timestamps apart that differ only beyond 2^53', () => {
    const points = pointsOf([
      [1, 2n ** 53n + 1n, 0, 0],
      [1, 2n ** 53n, 0, 0],
    ])

    expect(rowsOf(sortAndDropEquals(points))).toEqual([
      [1, 2n ** 53n, 0n, 0],
      [1, 2n ** 53n + 1n, 0n, 0],
    ])
  })
})

test('values compare as a total order', () => {
  const values = [-1, -0, 0, Number.NaN, 5e-324, 1]
  for (const [i, a] of values.entries()) {
    for (const [j, b] of values.entries()) {
      expect(Math.sign(compareValues(a, b))).toBe(Math.sign(i - j))
    }
  }
})

test('keys are numbered in ascending order, however far apart they are', () => {
  expect(numberKeys(pointsOf([5, 2_000_000_000, 5, 0].map((key) => [key, 0, 0, 0])))).toEqual({
    keys: Int32Array.of(0, 5, 2_000_000_000),
    slots: Uint32Array.of(1, 2, 1, 0),
  })
  expect(numberKeys(pointsOf([12, 10, 12].map((key) => [key, 0, 0, 0])))).toEqual({
    keys: Int32Array.of(10, 12),
    slots: Uint32Array.of(1, 0, 1),
  })
})

test('the order column of any int64 column orders its values exactly', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (values) => {
      const order = orderColumn(BigInt64Array.from(values))
      const byOrder = values.toSorted(
        (a, b) => (order[values.indexOf(a)] ?? 0) - (order[values.indexOf(b)] ?? 0),
      )
      expect(byOrder).toEqual(values.toSorted(compareInts))
    }),
  )
})
