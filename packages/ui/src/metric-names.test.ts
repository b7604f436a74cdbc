import { expect, test } from 'vitest'
import { bestOf, directionOf, sectionOf } from './metric-names.ts'

test.each([
  ['val/accuracy', 'higher'],
  ['val_loss', 'lower'],
  ['test_f1', 'higher'],
  ['rmse', 'lower'],
  ['mape/north', 'lower'],
  ['map', 'higher'],
  ['validationError', 'lower'],
  ['tokens_per_second', 'higher'],
  ['fit_seconds', 'lower'],
  ['accuracy_loss', 'lower'],
  ['lr', undefined],
  ['temperature', undefined],
])('better values of %s are %s', (key, direction) => {
  expect(directionOf(key)).toBe(direction)
})

test('the best value follows the direction and ignores NaN', () => {
  expect(bestOf('loss', [3, Number.NaN, 1, 2])).toBe(1)
  expect(bestOf('accuracy', [0.3, Number.NaN, 0.9])).toBe(0.9)
  expect(bestOf('lr', [1, 2])).toBeUndefined()
})

test.each([
  ['val/loss', 'val'],
  ['a/b/c', 'a/b'],
  ['loss', ''],
])('%s stands in section "%s"', (key, section) => {
  expect(sectionOf(key)).toBe(section)
})
