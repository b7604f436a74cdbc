import { expect, test } from 'vitest'
import { alignLines, type Line, nearestValue } from './chart-data.ts'

const line = (xs: number[], ys: number[]): Line => ({
  id: '',
  name: '',
  colour: '',
  dash: 0,
  xs,
  ys,
})
const plainly = { smoothing: 0, isLog: false }

test('lines with different steps share one x and have gaps where they have no point', () => {
  expect(alignLines([line([0, 10], [1, 2]), line([5], [7])], plainly)).toMatchObject({
    xs: [0, 5, 10],
    shown: [
      [1, null, 2],
      [null, 7, null],
    ],
  })
})

test('what is not a number is a gap, and on a logarithmic axis what is not positive', () => {
  const lines = [line([0, 1, 2], [Number.NaN, -1, 3])]

  expect(alignLines(lines, plainly).shown).toEqual([[null, -1, 3]])
  expect(alignLines(lines, { smoothing: 0, isLog: true }).shown).toEqual([[null, null, 3]])
})

test('the raw line stays beside the smoothed one', () => {
  const { raw, shown } = alignLines([line([0, 1], [0, 1])], { smoothing: 0.5, isLog: false })

  expect(raw).toEqual([[0, 1]])
  expect(shown[0]?.[1]).toBeCloseTo(2 / 3)
})

test('the nearest value is found on either side of a gap', () => {
  expect(nearestValue([null, null, 4], 0)).toBe(4)
  expect(nearestValue([3, null, null], 2)).toBe(3)
  expect(nearestValue([null], 0)).toBeUndefined()
})
