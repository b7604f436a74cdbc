import { compareValues, identity, orderColumn, sortWithinKey } from './point-order.ts'
import { type Int64, intAt, type Points, pickPoints, slicePoints } from './points.ts'

/** Steps from and to, both included. */
export interface StepRange {
  start: Int64
  end: Int64
}

/**
 * At most `maxResults` points of one series, by (step, timestamp, value): the first of each of
 * `maxResults` stretches that hold the same number of points, give or take one, and in any case the
 * last point. MLflow 3.17 `SqlAlchemyStore.get_metric_history_bulk_interval`, which samples each run
 * by itself and by rows, where 3.6 sampled the distinct steps of all runs together.
 */
export function samplePoints(points: Points, maxResults: number, range?: StepRange): Points {
  if (isInStepOrder(points)) return sampleInOrder(points, maxResults, range)
  const indices = listInStepOrder(points, range)
  const n = indices.length
  if (n <= maxResults) return pickPoints(points, indices)
  const picked = new Uint32Array(maxResults)
  for (let i = 0; i < maxResults; i++) picked[i] = indices[stretchStart(i, n, maxResults)] as number
  picked[maxResults - 1] = indices[n - 1] as number
  return pickPoints(points, picked)
}

const inStepOrder = new WeakMap<Points, boolean>()

/**
 * Whether a series, which is in the order of time, is in that of its steps too, as most are.
 * Remembered for a series that is kept: then a sample costs no more than what is in it.
 */
function isInStepOrder(points: Points): boolean {
  let isSorted = inStepOrder.get(points)
  if (isSorted === undefined) {
    isSorted = isAscending(points)
    inStepOrder.set(points, isSorted)
  }
  return isSorted
}

function isAscending({ n, steps, timestamps, values }: Points): boolean {
  if (!(steps instanceof Float64Array && timestamps instanceof Float64Array)) return false
  for (let i = 1; i < n; i++) {
    const step = (steps[i] as number) - (steps[i - 1] as number)
    if (step < 0) return false
    if (step > 0) continue
    const time = (timestamps[i] as number) - (timestamps[i - 1] as number)
    if (time < 0) return false
    if (time === 0 && compareValues(values[i] as number, values[i - 1] as number) < 0) return false
  }
  return true
}

function sampleInOrder(points: Points, maxResults: number, range: StepRange | undefined): Points {
  const from = range ? firstWhere(points, (step) => step >= range.start) : 0
  const to = range ? firstWhere(points, (step) => step > range.end) : points.n
  const n = Math.max(0, to - from)
  if (n <= maxResults) return slicePoints(points, from, from + n)
  const picked = new Uint32Array(maxResults)
  for (let i = 0; i < maxResults; i++) picked[i] = from + stretchStart(i, n, maxResults)
  picked[maxResults - 1] = to - 1
  return pickPoints(points, picked)
}

/** The first point whose step passes a test that all later ones pass too. */
function firstWhere({ n, steps }: Points, passes: (step: Int64) => boolean): number {
  let from = 0
  let to = n
  while (from < to) {
    const middle = (from + to) >>> 1
    if (passes(steps[middle] as Int64)) to = middle
    else from = middle + 1
  }
  return from
}

/** Where stretch `i` of `n` rows in `m` begins, as SQL's NTILE cuts them: longer ones first. */
function stretchStart(i: number, n: number, m: number): number {
  return i * Math.floor(n / m) + Math.min(i, n % m)
}

function listInStepOrder(points: Points, range: StepRange | undefined): Uint32Array {
  const steps = orderColumn(points.steps)
  const indices = range ? listInRange(points, range) : identity(points.n)
  sortWithinKey(indices, steps, orderColumn(points.timestamps), points.values)
  return indices
}

function listInRange(points: Points, { start, end }: StepRange): Uint32Array {
  const indices = new Uint32Array(points.n)
  let n = 0
  for (let i = 0; i < points.n; i++) {
    const step = points.steps[i] as Int64
    if (step >= start && step <= end) indices[n++] = i
  }
  return indices.subarray(0, n)
}

/** A series in stretches, for a line with a band: one entry a stretch in every column. */
export interface Buckets {
  n: number
  counts: Uint32Array
  /** Step and time of the last point of the stretch, to the nearest double. */
  steps: Float64Array
  timestamps: Float64Array
  /** Of the values that are numbers; NaN where none is. */
  mins: Float64Array
  maxs: Float64Array
  means: Float64Array
  /** Value of the last point; may be NaN. */
  lasts: Float64Array
}

/**
 * One series in step order as at most `bucketsMax` stretches that hold the same number of points,
 * give or take one. By count and not by width: one stray step does not squeeze the rest into one
 * bucket, and up to `bucketsMax` points come out as they are.
 */
export function bucketPoints(points: Points, bucketsMax: number, range?: StepRange): Buckets {
  const indices = listInStepOrder(points, range)
  const n = Math.min(bucketsMax, indices.length)
  const buckets: Buckets = {
    n,
    counts: new Uint32Array(n),
    steps: new Float64Array(n),
    timestamps: new Float64Array(n),
    mins: new Float64Array(n),
    maxs: new Float64Array(n),
    means: new Float64Array(n),
    lasts: new Float64Array(n),
  }
  for (let i = 0; i < n; i++) {
    const from = stretchStart(i, indices.length, n)
    const stretch = indices.subarray(from, stretchStart(i + 1, indices.length, n))
    const last = stretch[stretch.length - 1] as number
    const { min, max, mean } = describeValues(points.values, stretch)
    buckets.counts[i] = stretch.length
    buckets.steps[i] = Number(intAt(points.steps, last))
    buckets.timestamps[i] = Number(intAt(points.timestamps, last))
    buckets.mins[i] = min
    buckets.maxs[i] = max
    buckets.means[i] = mean
    buckets.lasts[i] = points.values[last] as number
  }
  return buckets
}

function describeValues(values: Float64Array, indices: Uint32Array) {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  let sum = 0
  let count = 0
  for (let i = 0; i < indices.length; i++) {
    const value = values[indices[i] as number] as number
    if (Number.isNaN(value)) continue
    if (value < min) min = value
    if (value > max) max = value
    sum += value
    count++
  }
  if (count === 0) return { min: Number.NaN, max: Number.NaN, mean: Number.NaN }
  const mean = Number.isFinite(sum) ? sum / count : meanOfHuge(values, indices, count)
  return { min, max, mean }
}

/** Infinite metrics are stored as the greatest doubles, whose sum is beyond them. */
function meanOfHuge(values: Float64Array, indices: Uint32Array, count: number): number {
  let mean = 0
  for (let i = 0; i < indices.length; i++) {
    const value = values[indices[i] as number] as number
    if (!Number.isNaN(value)) mean += value / count
  }
  return mean
}
