import { invariant } from '@millrace/api/errors'
import { compareValues, numberKeys, orderColumn } from './point-order.ts'
import { type Int64, intAt, type Points } from './points.ts'

/** A point without its key. */
export interface Sample {
  step: Int64
  timestamp: Int64
  /** NaN is NaN. */
  value: number
}

/** What the runs table, search and charts' overviews need of one series without reading it. */
export interface Summary {
  key: number
  /** Points delivered: a point that was sent twice counts twice. */
  count: number
  /** Greatest by (step, timestamp, value), NaN as 0: MLflow's rule for `latest_metrics`. */
  last: Sample
  /** Least by (step, timestamp, value). */
  first: Sample
  /** Least value that is a number; null if all were NaN. */
  min: number | null
  max: number | null
}

/** One summary a key, by key. Neither order nor repeats of points matter, except to `count`. */
export function summarise(points: Points): Summary[] {
  const { n, values } = points
  const { keys, slots } = numberKeys(points)
  const counts = new Uint32Array(keys.length)
  const mins = new Float64Array(keys.length).fill(Number.POSITIVE_INFINITY)
  const maxs = new Float64Array(keys.length).fill(Number.NEGATIVE_INFINITY)
  for (let i = 0; i < n; i++) {
    const slot = slots[i] as number
    const value = values[i] as number
    counts[slot] = (counts[slot] as number) + 1
    if (Number.isNaN(value)) continue
    mins[slot] = Math.min(mins[slot] as number, value)
    maxs[slot] = Math.max(maxs[slot] as number, value)
  }

  const { lasts, firsts } = findEnds(points, slots, counts)
  const summaries: Summary[] = []
  for (let slot = 0; slot < keys.length; slot++) {
    const min = mins[slot] as number
    const max = maxs[slot] as number
    summaries.push({
      key: keys[slot] as number,
      count: counts[slot] as number,
      last: sampleAt(points, lasts[slot] as number),
      first: sampleAt(points, firsts[slot] as number),
      min: min <= max ? min : null,
      max: min <= max ? max : null,
    })
  }
  return summaries
}

/** Index of the last and the first point of each slot. */
function findEnds(points: Points, slots: Uint32Array, counts: Uint32Array) {
  const { n, values } = points
  const steps = orderColumn(points.steps)
  const timestamps = orderColumn(points.timestamps)
  const compare = (a: number, b: number) =>
    (steps[a] as number) - (steps[b] as number) ||
    (timestamps[a] as number) - (timestamps[b] as number) ||
    compareValues(values[a] as number, values[b] as number)
  const lasts = new Uint32Array(counts.length)
  const firsts = new Uint32Array(counts.length)
  const isSeen = new Uint8Array(counts.length)
  for (let i = 0; i < n; i++) {
    const slot = slots[i] as number
    if (isSeen[slot] === 0) {
      isSeen[slot] = 1
      lasts[slot] = i
      firsts[slot] = i
    } else if (compare(i, lasts[slot] as number) > 0) lasts[slot] = i
    else if (compare(i, firsts[slot] as number) < 0) firsts[slot] = i
  }
  return { lasts, firsts }
}

function sampleAt(points: Points, i: number): Sample {
  return {
    step: intAt(points.steps, i),
    timestamp: intAt(points.timestamps, i),
    value: points.values[i] as number,
  }
}

/** The summary of the points of both. */
export function mergeSummary(a: Summary, b: Summary): Summary {
  invariant(a.key === b.key, `a summary of metric key ${a.key} is merged with one of ${b.key}`)
  return {
    key: a.key,
    count: a.count + b.count,
    last: compareSamples(a.last, b.last) >= 0 ? a.last : b.last,
    first: compareSamples(a.first, b.first) <= 0 ? a.first : b.first,
    min: a.min === null || b.min === null ? (a.min ?? b.min) : Math.min(a.min, b.min),
    max: a.max === null || b.max === null ? (a.max ?? b.max) : Math.max(a.max, b.max),
  }
}

/** By (step, timestamp, value), values as MLflow orders them. */
function compareSamples(a: Sample, b: Sample): number {
  if (a.step !== b.step) return a.step < b.step ? -1 : 1
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? -1 : 1
  return compareValues(a.value, b.value)
}
