import { expect, test } from 'vitest'
import { type ByteRange, parseRangeHeader, resolveRange } from './byte-range.ts'

test.each<[string | undefined, ByteRange | undefined]>([
  ['bytes=0-9', { start: 0, end: 9 }],
  ['bytes=5-', { start: 5 }],
  ['bytes=-3', { lastBytes: 3 }],
  ['Bytes= 0-0 ', { start: 0, end: 0 }],
  [undefined, undefined],
  ['', undefined],
  ['bytes=-', undefined],
  ['bytes=9-5', undefined],
  ['bytes=0-1,3-4', undefined],
  ['lines=0-1', undefined],
  ['bytes=a-b', undefined],
])('the header %j asks for %j', (header, range) => {
  expect(parseRangeHeader(header)).toEqual(range)
})

test.each<[ByteRange, number, [number, number] | undefined]>([
  [{ start: 0, end: 4 }, 10, [0, 4]],
  [{ start: 8, end: 99 }, 10, [8, 9]],
  [{ start: 9 }, 10, [9, 9]],
  [{ start: 10 }, 10, undefined],
  [{ start: 0 }, 0, undefined],
  [{ lastBytes: 3 }, 10, [7, 9]],
  [{ lastBytes: 99 }, 10, [0, 9]],
  [{ lastBytes: 0 }, 10, undefined],
])('%j of %d bytes is %j', (range, totalBytes, resolved) => {
  expect(resolveRange(range, totalBytes)).toEqual(
    resolved && { start: resolved[0], end: resolved[1] },
  )
})
