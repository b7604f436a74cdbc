import { describe, expect, test } from 'vitest'
import { parseMlmodel } from './mlmodel.ts'

test('a model of 3.x is read with its ids, flavours and signature', () => {
  const model = parseMlmodel(
    `
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.sklearn
  sklearn: {sklearn_version: 1.9.1}
mlflow_version: 3.17.2
model_id: m-0123
run_id: 4567
signature:
  inputs: '[{"type": "double", "name": "a", "required": true}, {"type": "array", "items": {"type": "string"}, "name": "b"}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
  params: '[{"name": "scale", "type": "double", "default": 1.0, "shape": null}]'
utc_time_created: '2026-01-02 03:04:05.678'
`.replace('4567', "'4567'"),
  )

  expect(Object.keys(model.flavors)).toEqual(['python_function', 'sklearn'])
  expect(model).toMatchObject({ mlflowVersion: '3.17.2', modelId: 'm-0123', runId: '4567' })
  expect(model.signature).toEqual({
    inputs: [
      { type: 'double', name: 'a', required: true },
      { type: 'array', items: { type: 'string' }, name: 'b', required: true },
    ],
    outputs: [{ type: 'tensor', 'tensor-spec': { dtype: 'float64', shape: [-1, 2] } }],
    params: [{ name: 'scale', type: 'double', default: 1, shape: null }],
  })
})

test('a model of 1.x names one environment file and may have no signature', () => {
  const model = parseMlmodel('flavors: {python_function: {env: env/conda.yaml}}\n')

  expect(model.environmentFiles).toEqual({
    conda: 'env/conda.yaml',
    virtualenv: 'python_env.yaml',
  })
  expect('signature' in model).toBe(false)
})

test('nested objects of a signature are read', () => {
  const { signature } = parseMlmodel(
    `flavors: {}\nsignature: {inputs: '[{"type":"object","properties":{"x":{"type":"map","values":{"type":"long"},"required":false}},"required":true}]', outputs: null}`,
  )

  expect(signature?.inputs).toEqual([
    {
      type: 'object',
      properties: { x: { type: 'map', values: { type: 'long' }, required: false } },
      required: true,
    },
  ])
})

describe('refused, with what is wrong, is', () => {
  test.each([
    ['text that is not YAML', 'flavors: [', /not YAML/],
    ['a model without flavours', 'run_id: abc', /flavors/],
    ['an empty file', '', /cannot be read/],
    [
      'a signature that is not JSON',
      "flavors: {}\nsignature: {inputs: '[', outputs: null}",
      /inputs/,
    ],
    ['an unknown type', `flavors: {}\nsignature: {inputs: '[{"type":"x"}]'}`, /inputs/],
    ['an environment elsewhere', 'flavors: {python_function: {env: ../x.yaml}}', /not below/],
    ['an environment at the root', 'flavors: {python_function: {env: /etc/passwd}}', /not below/],
    [
      'a million flavours by reference',
      `flavors:\n  a: &a {x: 1}\n${Array.from({ length: 9 }, (_, n) => `  b${n}: &b${n} [${Array(10).fill(`*${n ? `b${n - 1}` : 'a'}`)}]`).join('\n')}\n`,
      /not YAML|cannot be read/,
    ],
  ])('%s', (_what, text, message) => {
    expect(() => parseMlmodel(text)).toThrow(message)
  })
})
