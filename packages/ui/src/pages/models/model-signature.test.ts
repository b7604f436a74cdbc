import { expect, test } from 'vitest'
import { readModelDescription } from './model-signature.ts'
import { filesOfVersion } from './version-files.ts'

test('inputs, outputs, params and flavours are read from an MLmodel file', () => {
  const text = `
flavors: {python_function: {}, sklearn: {}}
signature:
  inputs: '[{"type": "long", "name": "age", "required": false}, {"type": "double"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 2]}}]'
  params: '[{"name": "threshold", "type": "double", "default": 0.5}]'
`

  expect(readModelDescription(text)).toEqual({
    flavors: ['sklearn'],
    inputs: [
      { name: 'age', type: 'long, optional' },
      { name: '#2', type: 'double' },
    ],
    outputs: [{ name: '#1', type: 'float32 [-1,2]' }],
    params: [{ name: 'threshold', type: 'double = 0.5' }],
  })
})

test('a file without a signature, or with a broken one, has no fields', () => {
  const nothing = { inputs: [], outputs: [], params: [] }

  expect(readModelDescription('flavors: {onnx: {}}')).toEqual({ flavors: ['onnx'], ...nothing })
  expect(readModelDescription('signature: {inputs: "[{"}')).toEqual({ flavors: [], ...nothing })
})

const run_id = 'abc'
test.each([
  ['mlflow-artifacts:/1/abc/artifacts/model', { source: { kind: 'run', run_id }, top: 'model' }],
  ['runs:/abc/deep/model/', { source: { kind: 'run', run_id }, top: 'deep/model' }],
  ['models:/m-123', { source: { kind: 'logged-model', model_id: 'm-123' }, top: '' }],
  ['s3://elsewhere/model', undefined],
])('the files of a version from %s are found', (source, files) => {
  expect(filesOfVersion({ source, run_id })).toEqual(files)
})
