import { describe, expect, test } from 'vitest'
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
    expect(parseLenientJson(text)).toEqual(value)
  })
})

test('digits of fractions and texts are none', () => {
  const text =
    '{"value":0.12345678901234567,"key":"1234567890123456789","small":-1234567890123456.5}'
  expect(parseLenientJson(text)).toEqual({
    value: 0.12345678901234567,
    key: '1234567890123456789',
    small: -1234567890123456.5,
  })
})
