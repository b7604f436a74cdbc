import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyRows, compareInts, pointsOf, rowsOf } from './arbitrary-points.ts'
import { compareValues } from './point-order.ts'
import type { Int64, Points } from './points.ts'
import { bucketPoints, type StepRange, samplePoints } from './sampling.ts'

function line(count: number, first = 0): Points {
  return pointsOf(
    Array.from({ length: count }, (_, i) => [1, first + i, 1000 + first + i, first + i]),
  )
}

function series(...points: [step: Int64, timestamp: Int64, value: number][]): Points {
  return pointsOf(points.map((point) => [1, ...point]))
}

const ties = series([2, 1, 5], [1, 9, 0], [1, 9, Number.NaN], [1, 9, -1], [1, 9, 1], [0, 20, 7])

const wide = series(
  [2n ** 53n, 1, 1],
  [2n ** 53n + 1n, 1, 2],
  [2n ** 63n - 1n, 1, 3],
  [-(2n ** 63n), 1, 0],
)

describe('sampling', () => {
  test.each<[string, Points, number, StepRange | undefined, number[]]>([
    ['10 points to 5', line(10), 5, undefined, [0, 2, 4, 6, 9]],
    ['20 points to 7', line(20), 7, undefined, [0, 3, 6, 9, 12, 15, 19]],
    ['a range of steps', line(20), 4, { start: 3, end: 17 }, [3, 7, 11, 17]],
    ['negative steps', line(11, -5), 3, undefined, [-5, -1, 5]],
    ['to the last point alone', line(10), 1, undefined, [9]],
    ['as many as there are', line(5), 5, undefined, [0, 1, 2, 3, 4]],
    ['one more than asked for', line(6), 5, undefined, [0, 2, 3, 4, 5]],
    ['a range without points', line(10), 5, { start: 100, end: 200 }, []],
    ['ties of one step and time', ties, 3, undefined, [7, 0, 5]],
    ['all of the ties', ties, 6, undefined, [7, -1, 0, Number.NaN, 1, 5]],
    ['steps beyond 2^53', wide, 3, undefined, [0, 2, 3]],
  ])('takes what MLflow 3.17.2 took of %s', (_name, points, maxResults, range, expected) => {
    expect([...samplePoints(points, maxResults, range).values]).toEqual(expected)
  })

  test('bounds the points of a run that logs everything at step 0', () => {
    const points = series(
      ...Array.from({ length: 10 }, (_, i) => [0, i, i] as [Int64, Int64, number]),
    )

    expect(rowsOf(samplePoints(points, 4))).toEqual([0, 3, 6, 9].map((i) => [1, 0n, BigInt(i), i]))
  })

  test('equals cutting the sorted rows in stretches as NTILE does', () => {
    fc.assert(
      fc.property(anyRows, fc.integer({ min: 1, max: 20 }), (rows, maxResults) => {
        const sorted = rows
          .map((row) => row.with(0, 1) as typeof row)
          .sort(
            (a, b) =>
              compareInts(a[1], b[1]) || compareInts(a[2], b[2]) || compareValues(a[3], b[3]),
          )
        const tiles = Array.from({ length: maxResults }, (): typeof rows => [])
        const large = sorted.length % maxResults
        const size = Math.floor(sorted.length / maxResults)
        let next = 0
        for (const [i, tile] of tiles.entries()) {
          for (let left = i < large ? size + 1 : size; left > 0; left--) {
            const row = sorted[next++]
            if (row) tile.push(row)
          }
        }
        const expected = tiles.flatMap((tile) => tile.slice(0, 1))
        const last = sorted.at(-1)
        if (last && sorted.length > maxResults) expected[maxResults - 1] = last

        const points = pointsOf(rows.map(([, ...point]) => [1, ...point]))
        expect(rowsOf(samplePoints(points, maxResults))).toEqual(expected)
      }),
    )
  })
})

describe('buckets', () => {
  test('describe stretches of the series in step order', () => {
    const points = series([3, 30, 8], [1, 10, 2], [2, 20, Number.NaN], [4, 40, 5], [5, 50, 9])

    expect(bucketPoints(points, 2)).toEqual({
      n: 2,
      counts: Uint32Array.of(3, 2),
      steps: Float64Array.of(3, 5),
      timestamps: Float64Array.of(30, 50),
      mins: Float64Array.of(2, 5),
      maxs: Float64Array.of(8, 9),
      means: Float64Array.of(5, 7),
      lasts: Float64Array.of(8, 9),
    })
  })

  test('are the points themselves when there is room for all', () => {
    expect(bucketPoints(line(3), 10)).toMatchObject({
      n: 3,
      counts: Uint32Array.of(1, 1, 1),
      steps: Float64Array.of(0, 1, 2),
      mins: Float64Array.of(0, 1, 2),
      means: Float64Array.of(0, 1, 2),
      lasts: Float64Array.of(0, 1, 2),
    })
  })

  test('have no least, greatest or mean value where all are NaN', () => {
    expect(bucketPoints(series([0, 0, Number.NaN]), 1)).toMatchObject({
      mins: Float64Array.of(Number.NaN),
      maxs: Float64Array.of(Number.NaN),
      means: Float64Array.of(Number.NaN),
      lasts: Float64Array.of(Number.NaN),
    })
  })

  test('have a finite mean of the values that stand for infinity', () => {
    const huge = series([0, 0, Number.MAX_VALUE], [1, 1, Number.MAX_VALUE], [2, 2, Number.NaN])

    expect(bucketPoints(huge, 1).means[0]).toBe(Number.MAX_VALUE)
  })

  test('keep to a range of steps', () => {
    expect(bucketPoints(line(10), 2, { start: 4, end: 7 })).toMatchObject({
      counts: Uint32Array.of(2, 2),
      steps: Float64Array.of(5, 7),
    })
    expect(bucketPoints(line(10), 2, { start: 40, end: 70 }).n).toBe(0)
  })

  test('hold every point once', () => {
    fc.assert(
      fc.property(anyRows, fc.integer({ min: 1, max: 20 }), (rows, bucketsMax) => {
        const { counts, n } = bucketPoints(pointsOf(rows), bucketsMax)
        expect(counts.reduce((sum, count) => sum + count, 0)).toBe(rows.length)
        expect(n).toBe(Math.min(rows.length, bucketsMax))
        expect(Math.max(0, ...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      }),
    )
  })
})
