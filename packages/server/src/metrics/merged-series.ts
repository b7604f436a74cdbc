import { compareValues } from './point-order.ts'
import { type Int64, intAt, type Points, PointsBuilder, slicePoints } from './points.ts'

/** Two sorted series of one metric as one, of which any stretch is read without the others. */
export interface MergedSeries {
  /** Number of points, each counted once. */
  n: number
  /** Points `from` to `to` (exclusive), by (timestamp, step, value); what is beyond the end is not. */
  slice(from: number, to: number): Points
}

/**
 * Merges a few points into many; both are sorted and without equals (`sortAndDropEquals`). Costs a
 * binary search for each of the few, and nothing for the many.
 */
export function mergeSeries(many: Points, few: Points): MergedSeries {
  const ranks: number[] = []
  const picked: number[] = []
  for (let i = 0; i < few.n; i++) {
    const rank = rankOf(few, i, many)
    if (rank < many.n && comparePoints(many, rank, few, i) === 0) continue
    ranks.push(rank)
    picked.push(i)
  }
  const n = many.n + picked.length
  /** Where in the whole the point is that was picked as this one. */
  const positionOf = (index: number) => (ranks[index] ?? Number.POSITIVE_INFINITY) + index
  return {
    n,
    slice(start, end) {
      const to = Math.min(Math.max(end, 0), n)
      const from = Math.min(Math.max(start, 0), to)
      let index = ranks.findIndex((rank, each) => rank + each >= from)
      if (index === -1) index = ranks.length
      if (from === 0 && to === n && picked.length === 0) return many
      if (positionOf(index) >= to) return slicePoints(many, from - index, to - index)

      const builder = new PointsBuilder(to - from)
      for (let position = from; position < to; ) {
        const next = Math.min(positionOf(index), to)
        builder.append(slicePoints(many, position - index, next - index))
        position = next
        if (position === to) break
        const fresh = picked[index++] ?? 0
        builder.append(slicePoints(few, fresh, fresh + 1))
        position++
      }
      return builder.points()
    },
  }
}

/** How many points of a sorted series come before a point of another. */
function rankOf(few: Points, index: number, many: Points): number {
  let from = 0
  let to = many.n
  while (from < to) {
    const middle = (from + to) >>> 1
    if (comparePoints(many, middle, few, index) < 0) from = middle + 1
    else to = middle
  }
  return from
}

/** By (timestamp, step, value); 0 for points that are equal to MLflow, to which -0 is 0. */
function comparePoints(a: Points, i: number, b: Points, j: number): number {
  const byTime = compare(intAt(a.timestamps, i), intAt(b.timestamps, j))
  if (byTime !== 0) return byTime
  const byStep = compare(intAt(a.steps, i), intAt(b.steps, j))
  if (byStep !== 0) return byStep
  const [x, y] = [a.values[i] as number, b.values[j] as number]
  return x === y ? 0 : compareValues(x, y)
}

function compare(a: Int64, b: Int64): number {
  if (a < b) return -1
  return a > b ? 1 : 0
}
