import { expect, test } from 'vitest'
import { parsePythonJson, writePythonJson } from './python-json.ts'

test.each([
  ['1', 1n],
  ['-0', 0n],
  ['1.0', 1],
  ['1e2', 100],
  ['9007199254740993', 9_007_199_254_740_993n],
  [' [ NaN , -Infinity ] ', [Number.NaN, Number.NEGATIVE_INFINITY]],
  ['{"a": 1, "a": {"__proto__": null}}', new Map([['a', new Map([['__proto__', null]])]])],
  [String.raw`"\"\\\u00e9\n"`, '"\\é\n'],
])('%s is read as Python reads it', (text, value) => {
  expect(parsePythonJson(text)).toEqual(value)
})

test.each([
  '',
  '01',
  '[1,]',
  '{"a" 1}',
  '{1: 2}',
  '"a\nb"',
  '"a',
  String.raw`"\x"`,
  'nan',
  '1 2',
  '['.repeat(100_000),
  '9'.repeat(5_000),
])('%.20s is refused', (text) => {
  expect(() => parsePythonJson(text)).toThrow(SyntaxError)
})

// The right-hand sides are what `json.dumps` of Python 3.11 writes.
test.each([
  [0, '0.0'],
  [-0, '-0.0'],
  [0.1, '0.1'],
  [1e15, '1000000000000000.0'],
  [1e16, '1e+16'],
  [123456789012345680, '1.2345678901234568e+17'],
  [1e-4, '0.0001'],
  [1.5e-5, '1.5e-05'],
  [1e-300, '1e-300'],
  [Math.fround(0.1), '0.10000000149011612'],
  [Number.NaN, 'NaN'],
  [7n, '7'],
  ['é"\u007f\n😀', String.raw`"\u00e9\"\u007f\n\ud83d\ude00"`],
  [new Map([['a', [1, true, null]]]), '{"a": [1.0, true, null]}'],
])('%s is written as Python writes it', (value, text) => {
  expect(writePythonJson(value)).toBe(text)
})
