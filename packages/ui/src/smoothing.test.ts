import { expect, test } from 'vitest'
import { smooth } from './smoothing.ts'

test('without weight the values come out as they are', () => {
  expect(smooth([0, 1], [1, 3], 0)).toEqual([1, 3])
})

test('the first value is kept and later ones are pulled towards what went before', () => {
  // 0.5 * 0.5 + 0.5 * 1 over the mass 0.75.
  expect(smooth([0, 1], [0, 1], 0.5)).toEqual([0, 2 / 3])
})

test('a constant stays constant whatever the weight', () => {
  for (const y of smooth([0, 1, 2, 5], [4, 4, 4, 4], 0.9)) expect(y).toBeCloseTo(4, 12)
})

test('gaps stay gaps and do not disturb what follows', () => {
  expect(smooth([0, 1, 2], [2, null, 2], 0.5)).toEqual([2, null, 2])
})

test('a value after a long stretch without points forgets more', () => {
  const near = smooth([0, 1, 2, 3], [0, 0, 0, 1], 0.5).at(-1) ?? 0
  const far = smooth([0, 1, 2, 30], [0, 0, 0, 1], 0.5).at(-1) ?? 0

  expect(far).toBeGreaterThan(near)
})
