import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyRows, pointsOf, rowsOf } from './arbitrary-points.ts'
import { mergeSeries } from './merged-series.ts'
import { sortAndDropEquals } from './point-order.ts'
import { type Points, PointsBuilder, selectKeys } from './points.ts'

const KEY = 1

function sorted(points: Points): Points {
  return sortAndDropEquals(selectKeys(points, new Set([KEY])))
}

function joined(...series: Points[]): Points {
  const builder = new PointsBuilder()
  for (const points of series) builder.append(points)
  return builder.points()
}

/** -0 and 0 are one point, of which either may have come. */
function rows(points: Points) {
  return rowsOf(points).map(([key, step, timestamp, value]) => [key, step, timestamp, value + 0])
}

test('two series are read in any stretch as if they had been sorted together', () => {
  const ofKey = anyRows.map((each) => pointsOf(each.map(([, ...row]) => [KEY, ...row])))
  fc.assert(
    fc.property(
      ofKey,
      ofKey,
      fc.boolean(),
      fc.nat(60),
      fc.nat(60),
      (a, b, isRepeated, from, count) => {
        const few = sorted(isRepeated ? joined(a, b) : b)
        const whole = sorted(joined(a, b))

        const merged = mergeSeries(sorted(a), few)

        expect(merged.n).toBe(whole.n)
        expect(rows(merged.slice(0, merged.n))).toEqual(rows(whole))
        expect(rows(merged.slice(from, from + count))).toEqual(
          rows(whole).slice(from, from + count),
        )
      },
    ),
  )
})
