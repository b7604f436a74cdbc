import { describe, expect, test } from 'vitest'
import { traitsOf } from './json-traits.ts'
import { parseLenientJson } from './lenient-json.ts'

describe('integers beyond 2^53 keep every digit', () => {
  const texts: Record<string, unknown> = {
    '{"step":9007199254740993}': { step: 9007199254740993n },
    '{"step": -9223372036854775808}': { step: -9223372036854775808n },
    '{"steps":[9007199254740993,\n9007199254740995]}': {
      steps: [9007199254740993n, 9007199254740995n],
    },
    '{"value":NaN,"step":9007199254740993}': { value: Number.NaN, step: 9007199254740993n },
  }
  test.each(Object.entries(texts))('%s', (text, value) => {
    expect(parseLenientJson(text)?.value).toEqual(value)
  })
})

test('digits of fractions and texts are none', () => {
  const text = '{"value":0.12345678901234567,"key":"1234567890123456789","small":-1234567890123.5}'
  expect(parseLenientJson(text)?.value).toEqual({
    value: Number('0.12345678901234567'),
    key: '1234567890123456789',
    small: -1234567890123.5,
  })
})

describe('what needs another look is found at any depth', () => {
  const deep = (text: string) => `${'[{"a":'.repeat(60)}${text}${'}]'.repeat(60)}`
  const none = { hasNulls: false, hasCamelCase: false, hasLongIntegers: false }
  const cases: [text: string, traits: object][] = [
    ['{"metrics":[{"key":"a","value":0.1}]}', none],
    ['{"metrics":[{"key":"a","value":null}]}', { ...none, hasNulls: true }],
    ['{"metrics":[{"key":"a","runId":1}]}', { ...none, hasCamelCase: true }],
    ['{"metrics":[{"key":"a","step":-9007199254740993}]}', { ...none, hasLongIntegers: true }],
    [deep('null'), { ...none, hasNulls: true }],
    [deep('{"runId":1}'), { ...none, hasCamelCase: true }],
    [deep('9007199254740993'), { ...none, hasLongIntegers: true }],
  ]
  test.each(cases)('%.60s', (text, traits) => {
    expect(traitsOf(JSON.parse(text), text)).toEqual(traits)
  })
})
