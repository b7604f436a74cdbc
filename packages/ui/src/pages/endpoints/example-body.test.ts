import { expect, test } from 'vitest'
import { emptyRow, readModelExample, rowsOfBody, splitBody } from './example-body.ts'

const TABLE = `
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}, {"type": "string", "name": "b", "required": false}, {"type": "boolean", "name": "c"}]'
`

test('columns of a signature become a row to type, and rows a request', () => {
  const { columns } = readModelExample(TABLE)

  expect(emptyRow(columns)).toEqual(['0', '', 'false'])
  expect(
    JSON.parse(
      splitBody(columns, [
        ['1.5', '', 'TRUE'],
        ['x', 'y', 'no'],
      ]),
    ),
  ).toEqual({
    dataframe_split: {
      columns: ['a', 'b', 'c'],
      data: [
        [1.5, null, true],
        ['x', 'y', 'no'],
      ],
    },
  })
})

test('the rows of an example can be typed on', () => {
  const { columns } = readModelExample(TABLE)
  const body = '{"dataframe_split": {"columns": ["c", "a"], "data": [[true, 2.5], [null, 0]]}}'

  expect(rowsOfBody(columns, body)).toEqual([
    ['2.5', '', 'true'],
    ['0', '', ''],
  ])
  expect(rowsOfBody(columns, '{"inputs": [[1]]}')).toBeUndefined()
})

test('an example that was saved with the model goes before its signature', () => {
  const saved = (lines: string) => readModelExample(`saved_input_example_info: {${lines}}`).file

  expect(saved('serving_input_path: serving_input_example.json, artifact_path: x')).toEqual({
    path: 'serving_input_example.json',
  })
  expect(saved('artifact_path: e.json, type: dataframe, pandas_orient: split')).toEqual({
    path: 'e.json',
    wrap: 'dataframe_split',
  })
  expect(saved('artifact_path: e.json, type: ndarray')).toEqual({ path: 'e.json' })
  expect(saved('artifact_path: e.npz, type: sparse_matrix_csc')).toBeUndefined()
})

test.each([
  [
    '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]',
    { inputs: [[0, 0]] },
  ],
  [
    '[{"type": "tensor", "name": "x", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]',
    { inputs: { x: [0] } },
  ],
])('tensors %s become a request of zeros', (inputs, body) => {
  const { columns, tensorBody } = readModelExample(`signature: {inputs: '${inputs}'}`)

  expect(columns).toEqual([])
  expect(JSON.parse(tensorBody ?? '')).toEqual(body)
})

test('a signature of objects, and a file that is none, give no table', () => {
  const inputs = '[{"type": "array", "items": {"type": "long"}, "name": "a"}]'
  expect(readModelExample(`signature: {inputs: '${inputs}'}`)).toEqual({ columns: [] })
  expect(readModelExample('5')).toEqual({ columns: [] })
})
