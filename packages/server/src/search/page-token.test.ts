import { ApiError } from '@millrace/api/errors'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type PageTokenOwner, pageTokenAfter, parsePageToken } from './page-token.ts'

const owner: PageTokenOwner = {
  entity: 'runs',
  request: { experiments: [1], comparisons: [{ key: 'a', value: 2n ** 60n }] },
  columns: ['number', 'text'],
}

const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('a page token', () => {
  test('comes back with the values that it was made of', () => {
    const values = fc.tuple(
      fc.oneof(
        fc.double({ noNaN: true }).map((value) => value + 0),
        fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
        fc.constant(null),
      ),
      fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant(null)),
    )
    fc.assert(
      fc.property(values, (row) => {
        expect(parsePageToken(pageTokenAfter(row, owner), owner)).toEqual({ after: row })
      }),
    )
  })

  test('fits into a query string as it is', () => {
    expect(pageTokenAfter([1, '~~~???>>>'], owner)).toMatch(/^[\w-]+$/)
  })

  test('is no page token when it is empty', () => {
    expect(parsePageToken('', owner)).toBeUndefined()
  })

  test.each([
    ['{"offset": 5}', 5],
    ['{"offset": "7"}', 7],
    ['{"experiment_ids": ["0"], "filter_string": null, "order_by": null, "offset": 2}', 2],
  ])('of an MLflow server, %s, is taken', (content, offset) => {
    expect(parsePageToken(base64(content), owner)).toEqual({ offset })
  })

  const good = pageTokenAfter([1, 'a'], owner)
  const own = JSON.parse(Buffer.from(good, 'base64url').toString())
  const forged = (change: object) => base64(JSON.stringify({ ...own, ...change }))
  test.each([
    ['!!!', /^Invalid page token, could not base64-decode$/],
    ['abcde', /^Invalid page token, could not base64-decode$/],
    ['YQ=', /^Invalid page token, could not base64-decode$/],
    [base64('hello'), /^Invalid page token, decoded value=b'hello'$/],
    [base64('{}'), /^Invalid page token, parsed value=\{\}$/],
    [base64('{"offset": 0}'), /^Invalid page token, parsed value=/],
    [base64('[1]'), /^Invalid page token, parsed value=\[1\]$/],
    [base64('null'), /^Invalid page token, parsed value=null$/],
    [base64('{"offset": "x"}'), /^Invalid page token, not stringable "x"$/],
    [base64('{"offset": -1}'), /^Invalid page token, not stringable -1$/],
    [base64('{"offset": 1e300}'), /^Invalid page token, not stringable/],
    [base64('{"offset": [3]}'), /^Invalid page token, not stringable/],
    [forged({ e: 'experiments' }), /^Invalid page token: it belongs to a search of experiments/],
    [forged({ r: 'other' }), /^Invalid page token: it belongs to a search with another filter/],
    [forged({ k: ['a', 1] }), /^Invalid page token: its row does not fit/],
    [forged({ k: [1] }), /^Invalid page token: its row does not fit/],
    [forged({ k: [{ n: '1; drop' }, 'a'] }), /^Invalid page token: '1; drop' is no number/],
    [forged({ k: [{ n: '99999999999999999999' }, 'a'] }), /^Invalid page token: '9+' is no number/],
    [forged({ k: [{}, 'a'] }), /^Invalid page token, parsed value=/],
    [forged({ v: 2 }), /^Invalid page token, parsed value=/],
    [good.slice(0, -8), /^Invalid page token/],
  ])('that nobody gave out, %s, is refused', (token, message) => {
    expect(() => parsePageToken(token, owner)).toThrow(
      expect.objectContaining({
        code: 'INVALID_PARAMETER_VALUE',
        message: expect.stringMatching(message),
      }),
    )
  })

  test('of another search is refused', () => {
    for (const other of [
      { ...owner, request: { ...(owner.request as object), experiments: [2] } },
      { ...owner, columns: ['number', 'text', 'text'] as const },
      { ...owner, entity: 'experiments' },
    ]) {
      expect(() => parsePageToken(good, other)).toThrow(
        /^Invalid page token: it belongs to a search/,
      )
    }
  })

  test('made of anything is refused with a 400 or taken', () => {
    const contents = fc.oneof(
      fc.json(),
      fc.string(),
      fc.json().map(base64),
      fc.string().map(base64),
    )
    fc.assert(
      fc.property(contents, (token) => {
        try {
          parsePageToken(token, owner)
        } catch (error) {
          if (!(error instanceof ApiError) || error.status !== 400) throw error
        }
      }),
    )
  })
})
