import { expect, test } from 'vitest'
import { predictionInput } from './prediction-input.ts'

test.each([
  [
    'columns by index',
    '{"a": {"0": 1, "1": 2}, "b": {"0": null, "1": "x"}}',
    {
      index: [0, 1],
      columns: ['a', 'b'],
      data: [
        [1, null],
        [2, 'x'],
      ],
    },
  ],
  ['columns as lists', '{"a": [1, 2]}', { index: [0, 1], columns: ['a'], data: [[1], [2]] }],
  [
    'rows as objects, of which one lacks a field',
    '[{"a": 1}, {"a": 2, "b": 3}]',
    {
      index: [0, 1],
      columns: ['a', 'b'],
      data: [
        [1, null],
        [2, 3],
      ],
    },
  ],
  ['rows as lists', '[[1, 2]]', { index: [0], columns: [0, 1], data: [[1, 2]] }],
  [
    'an index of names',
    '{"a": {"x": 1, "y": 2}}',
    { index: ['x', 'y'], columns: ['a'], data: [[1], [2]] },
  ],
])('JSON with %s is sent as a split frame', (_what, text, dataframe_split) => {
  const { body, contentType } = predictionInput(text, 'json')
  expect(JSON.parse(body)).toEqual({ dataframe_split })
  expect(contentType).toBe('application/json')
})

test('a scoring request and CSV are sent as they are', () => {
  const request = '{"instances": [1.0], "params": {"t": 2}}'
  expect(predictionInput(request, 'json').body).toBe(request)
  expect(predictionInput('a,b\n1,2\n', 'csv')).toEqual({
    body: 'a,b\n1,2\n',
    contentType: 'text/csv',
  })
})

test.each([['{"a": 1}'], ['7'], ['{'], ['']])('%s is refused as input', (text) => {
  expect(() => predictionInput(text, 'json')).toThrow(/input/)
})
