import { expect, test } from 'vitest'
import { decodeCbor, encodeCbor } from './cbor.ts'

// From appendix A of RFC 8949, and as botocore writes a time.
test.each([
  ['1903e8', 1000],
  ['1a000f4240', 1_000_000],
  ['1b000000e8d4a51000', 1_000_000_000_000],
  ['3903e7', -1000],
  ['fb3ff199999999999a', 1.1],
  ['fa47c35000', 100_000],
  ['62c3bc', 'ü'],
  ['83010203', [1, 2, 3]],
  ['9f018202039f0405ffff', [1, [2, 3], [4, 5]]],
  ['a201020304', { 1: 2, 3: 4 }],
  ['bf61610161629f0203ffff', { a: 1, b: [2, 3] }],
  ['7f657374726561646d696e67ff', 'streaming'],
  ['c11a514b67b0', 1_363_896_240],
  ['f5', true],
  ['f6', null],
] as const)('%s is read as its value', (hex, value) => {
  expect(decodeCbor(Buffer.from(hex, 'hex'))).toEqual(value)
})

test('what is written is read as the same, members that are undefined apart', () => {
  const value = { text: 'x'.repeat(300), list: [0, -5, 2.5, 70_000, true, null], left: undefined }

  const { left: _, ...rest } = value
  expect(decodeCbor(encodeCbor(value))).toEqual(rest)
  expect(encodeCbor(new Date(1500)).toString('hex')).toBe('c1fb3ff8000000000000')
})

test.each(['', '9f01', '5affffffff', 'ff', '9f'.repeat(100)])(
  'what is no value is refused: %s',
  (hex) => {
    expect(() => decodeCbor(Buffer.from(hex, 'hex'))).toThrow('is not CBOR')
  },
)
