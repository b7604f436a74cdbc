import { expect, test } from 'vitest'
import { readFilterError, wordAt } from './filter-error.ts'
import { toServerFilter } from './pages/runs/run-filter.ts'

test('the place is taken off the message and counted from zero', () => {
  expect(readFilterError('Invalid clause (at character 9)')).toEqual({
    message: 'Invalid clause',
    position: 8,
  })
})

test('a message without a place stays whole', () => {
  expect(readFilterError('No such run (sorry)')).toEqual({
    message: 'No such run (sorry)',
    position: undefined,
  })
})

test.each([
  ['a = b', 4, 'b'],
  ['metrics.`a b` = 1', 0, 'metrics.`a b`'],
  ["x = 'two words'", 4, "'two words'"],
  ['short', 99, 't'],
])('in %s the word at %i is %s', (filter, position, word) => {
  const { start, end } = wordAt(filter, position)

  expect(filter.slice(start, end)).toBe(word)
})

test.each([
  ['swift', "attributes.run_name ILIKE '%swift%'"],
  ["it's", "attributes.run_name ILIKE '%it''s%'"],
  ['metrics.loss < 0.1', 'metrics.loss < 0.1'],
  ['metrics', 'metrics'],
  ['tags.a IS NULL', 'tags.a IS NULL'],
  ['  ', ''],
])('typing %s asks for %s', (typed, filter) => {
  expect(toServerFilter(typed)).toBe(filter)
})
