import { describe, expect, test } from 'vitest'
import {
  columnFormat,
  formatAgo,
  formatAxis,
  formatBytes,
  formatDuration,
  formatNumber,
} from './format.ts'

describe('numbers', () => {
  test.each([
    [0, '0'],
    [0.97123456, '0.9712'],
    [0.012345678, '0.01235'],
    [12.3456, '12.35'],
    [1234.5678, '1,235'],
    [60000, '60,000'],
    [0.00003, '3.000e-5'],
    [-0.5, '-0.5000'],
    [123456789, '1.235e8'],
    [Number.NaN, 'NaN'],
    [Number.POSITIVE_INFINITY, '∞'],
    [-Number.MAX_VALUE, '−∞'],
  ])('%s reads %s', (value, text) => {
    expect(formatNumber(value)).toBe(text)
  })

  test('a column has the decimals that tell its values apart', () => {
    const format = columnFormat([0.9701, 0.9688, 0.9642, 0.9713])

    expect([0.9701, 0.9642].map(format)).toEqual(['0.97010', '0.96420'])
  })

  test('a column of integers has no decimals', () => {
    expect(columnFormat([3, 12, 7000])(7000)).toBe('7,000')
  })

  test('one run that diverged does not take the decimals of the others', () => {
    const usual = Array.from({ length: 20 }, (_, index) => 0.1 + index * 0.01)

    expect(columnFormat([...usual, 44_000])(0.1234)).toBe('0.123')
  })

  test.each([
    [1500, '1.5k'],
    [2_000_000, '2M'],
    [0.0003, '3e-4'],
    [0.25, '0.25'],
    [1e300, '1e300'],
  ])('%s is %s on an axis', (value, text) => {
    expect(formatAxis(value)).toBe(text)
  })
})

test.each([
  [950, '950 ms'],
  [8200, '8.2 s'],
  [200_000, '3 min 20 s'],
  [7_500_000, '2 h 5 min'],
  [3_600_000, '1 h'],
  [356_400_000, '4 d 3 h'],
])('%i ms read %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})

test.each([
  [10_000, 'just now'],
  [300_000, '5 min ago'],
  [3 * 3_600_000, '3 h ago'],
  [72 * 3_600_000, '3 d ago'],
])('%i ms before now is %s', (ms, text) => {
  const now = Date.UTC(2025, 4, 14)

  expect(formatAgo(now - ms, now)).toBe(text)
})

test.each([
  [0, '0 B'],
  [4200, '4.2 kB'],
  [1_300_000_000, '1.3 GB'],
  [64_000_000n, '64 MB'],
])('%s bytes read %s', (size, text) => {
  expect(formatBytes(size)).toBe(text)
})
