import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareInts, pointsOf, type Row, someRows } from './arbitrary-points.ts'
import { compareValues } from './point-order.ts'
import type { Int64 } from './points.ts'
import { mergeSummary, type Summary, summarise } from './summary.ts'

function int(value: bigint): Int64 {
  return BigInt(Number(value)) === value && Number.isSafeInteger(Number(value))
    ? Number(value)
    : value
}

function sample([, step, timestamp, value]: Row) {
  return { step: int(step), timestamp: int(timestamp), value }
}

/** A full scan, key by key. */
function summariseNaively(rows: Row[]): Summary[] {
  const keys = [...new Set(rows.map(([key]) => key))].sort((a, b) => a - b)
  return keys.map((key) => {
    const series = rows
      .filter((row) => row[0] === key)
      .sort(
        (a, b) => compareInts(a[1], b[1]) || compareInts(a[2], b[2]) || compareValues(a[3], b[3]),
      )
    const numbers = series.map((row) => row[3]).filter((value) => !Number.isNaN(value))
    const [first = [0, 0n, 0n, 0] as Row] = series
    return {
      key,
      count: series.length,
      last: sample(series.at(-1) ?? first),
      first: sample(first),
      min: numbers.length > 0 ? Math.min(...numbers) : null,
      max: numbers.length > 0 ? Math.max(...numbers) : null,
    }
  })
}

function mergeAll(parts: Summary[]): Summary[] {
  const merged = new Map<number, Summary>()
  for (const part of parts) {
    const other = merged.get(part.key)
    merged.set(part.key, other ? mergeSummary(part, other) : part)
  }
  return [...merged.values()].sort((a, b) => a.key - b.key)
}

describe('summaries', () => {
  test('equal a full scan', () => {
    fc.assert(
      fc.property(someRows, (rows) => {
        expect(summarise(pointsOf(rows))).toEqual(summariseNaively(rows))
      }),
      { numRuns: 300 },
    )
  })

  test('of parts, merged in any order, equal the summary of all', () => {
    const partition = fc
      .array(someRows, { minLength: 1, maxLength: 6 })
      .chain((parts) =>
        fc.tuple(
          fc.constant(parts),
          fc.shuffledSubarray(parts, { minLength: parts.length, maxLength: parts.length }),
        ),
      )
    fc.assert(
      fc.property(partition, ([parts, shuffled]) => {
        const merged = mergeAll(shuffled.flatMap((rows) => summarise(pointsOf(rows))))
        expect(merged).toEqual(summariseNaively(parts.flat()))
      }),
      { numRuns: 300 },
    )
  })

  test('change by nothing but the count when points are delivered again', () => {
    fc.assert(
      fc.property(someRows, (rows) => {
        const once = summarise(pointsOf(rows))
        const twice = summarise(pointsOf([...rows, ...rows]))
        expect(twice).toEqual(once.map((summary) => ({ ...summary, count: 2 * summary.count })))
      }),
    )
  })

  test.each<[string, [step: number, timestamp: number, value: number][], number]>([
    [
      'a NaN at a higher step',
      [
        [1, 5, 3],
        [2, 1, Number.NaN],
      ],
      Number.NaN,
    ],
    [
      'the later of one step',
      [
        [1, 5, 3],
        [1, 6, 2],
      ],
      2,
    ],
    [
      'the greater value of one step and time',
      [
        [1, 1, 4],
        [1, 1, 3],
      ],
      4,
    ],
    [
      'a NaN, as 0, over a negative value',
      [
        [1, 1, -1],
        [1, 1, Number.NaN],
      ],
      Number.NaN,
    ],
    [
      'a positive value over a NaN as 0',
      [
        [1, 1, 1],
        [1, 1, Number.NaN],
      ],
      1,
    ],
  ])('take as last %s, as MLflow 3.17 does', (_name, series, expected) => {
    const rows = series.map(([step, timestamp, value]) => [1, step, timestamp, value] as const)

    expect(summarise(pointsOf(rows))[0]?.last.value).toBe(expected)
    expect(summarise(pointsOf(rows.toReversed()))[0]?.last.value).toBe(expected)
  })

  test('have no least or greatest value where all are NaN', () => {
    expect(summarise(pointsOf([[1, 0, 0, Number.NaN]]))).toMatchObject([{ min: null, max: null }])
  })

  test('of different keys do not merge', () => {
    const [one, two] = summarise(
      pointsOf([
        [1, 0, 0, 0],
        [2, 0, 0, 0],
      ]),
    )
    if (!one || !two) throw new Error('two keys')

    expect(() => mergeSummary(one, two)).toThrow('metric key 1 is merged with one of 2')
  })
})
