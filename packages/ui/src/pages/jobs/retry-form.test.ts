import { expect, test } from 'vitest'
import { nextName } from './next-name.ts'
import { readTexts } from './read-texts.ts'

test.each([
  ['train', 'train-2'],
  ['train-9', 'train-10'],
  ['train-2026-11-21', 'train-2026-11-22'],
  ['train-20261121', 'train-20261121-2'],
  ['x'.repeat(63), `${'x'.repeat(61)}-2`],
])('a job like %s is named %s', (name, next) => {
  expect(nextName(name)).toBe(next)
})

test('numbers among hyperparameters are taken as their texts', () => {
  expect(readTexts('Hyperparameters', '{"epochs": 10, "name": "a", "list": [1]}')).toEqual({
    epochs: '10',
    name: 'a',
    list: '[1]',
  })
})

test.each([['{"epochs": }'], ['[1]'], ['3']])('%s is refused by the name of its field', (typed) => {
  expect(() => readTexts('Environment', typed)).toThrow(/^Environment/)
})
