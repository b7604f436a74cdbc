import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyRows, pointsOf, rowsOf } from './arbitrary-points.ts'
import { intAt, PointsBuilder, pickPoints, selectKeys, slicePoints } from './points.ts'

describe('points', () => {
  test('keep every int64 and every double exactly', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        expect(rowsOf(pointsOf(rows))).toEqual(rows)
      }),
    )
  })

  test('have columns of doubles exactly when every value is a safe integer', () => {
    const { steps, timestamps } = pointsOf([
      [1, 2 ** 53 - 1, 2n ** 53n, 0],
      [1, -(2n ** 53n) + 1n, 5, 0],
    ])
    const unsafe = pointsOf([[1, 2 ** 53, 0, 0]])

    expect(steps).toEqual(Float64Array.of(2 ** 53 - 1, 1 - 2 ** 53))
    expect(timestamps).toEqual(BigInt64Array.of(2n ** 53n, 5n))
    expect(unsafe.steps).toEqual(BigInt64Array.of(2n ** 53n))
  })

  test('refuse a step that is no int64 instead of wrapping it', () => {
    const builder = new PointsBuilder()

    expect(() => builder.add(1, 2n ** 63n, 0, 0)).toThrow(RangeError)
    expect(() => builder.add(1, 0, -(2n ** 63n) - 1n, 0)).toThrow(RangeError)
    expect(() => builder.add(1, 0.5, 0, 0)).toThrow(RangeError)
    expect(builder.n).toBe(0)
  })

  test('know no step -0, which no int64 is', () => {
    expect(pointsOf([[1, -0, -0, -0]])).toMatchObject({
      steps: Float64Array.of(0),
      timestamps: Float64Array.of(0),
      values: Float64Array.of(-0),
    })
  })

  test('appended as columns are the points added one by one', () => {
    fc.assert(
      fc.property(fc.array(anyRows), (batches) => {
        const builder = new PointsBuilder(0)
        for (const rows of batches) builder.append(pointsOf(rows))
        expect(builder.points()).toEqual(pointsOf(batches.flat()))
      }),
    )
  })

  test('taken from a builder do not change when more are added', () => {
    const builder = new PointsBuilder(1)
    builder.add(1, 1, 1, 1)
    const before = builder.points()
    builder.add(2, 2n ** 60n, 2, 2)

    expect(rowsOf(before)).toEqual([[1, 1n, 1n, 1]])
  })

  test('are narrow again when a slice or a pick leaves the large ones out', () => {
    const points = pointsOf([
      [1, 2n ** 60n, 0, 0],
      [2, 7, 0, 0],
    ])

    expect(slicePoints(points, 1, 2).steps).toEqual(Float64Array.of(7))
    expect(pickPoints(points, Uint32Array.of(1)).steps).toEqual(Float64Array.of(7))
    expect(intAt(points.steps, 1)).toBe(7)
    expect(intAt(points.steps, 0)).toBe(2n ** 60n)
  })

  test('of chosen keys are those in their order', () => {
    fc.assert(
      fc.property(anyRows, fc.uniqueArray(fc.nat({ max: 9 })), (rows, keys) => {
        const selected = selectKeys(pointsOf(rows), new Set(keys))
        expect(rowsOf(selected)).toEqual(rows.filter(([key]) => keys.includes(key)))
      }),
    )
  })
})
