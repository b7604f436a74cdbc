import { expect, test } from 'vitest'
import { type Json, parseFilter } from './json-filter.ts'

const RECORD: Json = { id: 1, features: [10, 20, 30, 40], inner: { a: 'x', 'b c': 'y' } }

test.each<[string, Json, Json | undefined]>([
  ['$', RECORD, RECORD],
  ['$.id', RECORD, 1],
  ["$['id']", RECORD, 1],
  ['$.inner.a', RECORD, 'x'],
  ["$.inner['b c']", RECORD, 'y'],
  ["$['id','inner']", RECORD, { id: 1, inner: RECORD['inner'] ?? null }],
  ['$.features[0]', RECORD, 10],
  ['$.features[-1]', RECORD, 40],
  ['$.features[0,2]', RECORD, [10, 30]],
  ['$.features[1:3]', RECORD, [20, 30]],
  ['$.features[:-1]', RECORD, [10, 20, 30]],
  ['$.features[*]', RECORD, [10, 20, 30, 40]],
  ['$[1:]', ['a', 'b', 'c'], ['b', 'c']],
  ['$[0,-1]', ['a', 'b', 'c'], ['a', 'c']],
  ['$.missing', RECORD, undefined],
  ['$.constructor', RECORD, undefined],
  ['$[0]', RECORD, undefined],
])('%s keeps what it names', (text, value, kept) => {
  expect(parseFilter(text)(value)).toEqual(kept)
})

test.each(['id', '$.', '$[', '$[a]', '$..id', "$['id'", '$[?(@.id)]'])(
  'a filter such as %s is refused with the place that cannot be read',
  (text) => {
    expect(() => parseFilter(text)).toThrow(`The filter '${text}' cannot be read at`)
  },
)
