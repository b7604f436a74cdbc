import { type Ints, type Points, pickPoints } from './points.ts'

/**
 * MLflow's order of values: NaN is stored as 0 with `is_nan`, so it comes right after 0. -0 comes
 * right before 0, so that of two points that are equal to MLflow the same one always survives.
 */
export function compareValues(a: number, b: number): number {
  const x = Number.isNaN(a) ? 0 : a
  const y = Number.isNaN(b) ? 0 : b
  if (x !== y) return x < y ? -1 : 1
  return x === 0 ? zeroRank(a) - zeroRank(b) : 0
}

function zeroRank(value: number): number {
  if (Number.isNaN(value)) return 2
  return Object.is(value, -0) ? 0 : 1
}

/**
 * Points by (key, timestamp, step, value), equal ones once: the order of MLflow's metric history
 * within a key, and its primary key (0 equals -0, NaN equals NaN). Points that already are so are
 * returned as they are.
 */
export function sortAndDropEquals(points: Points): Points {
  const timestamps = orderColumn(points.timestamps)
  const steps = orderColumn(points.steps)
  const equals = countEqualsIfSorted(points, timestamps, steps)
  if (equals === 0) return points

  const { keys, values } = points
  const indices = equals > 0 ? identity(points.n) : sortIndices(points, timestamps, steps)
  let n = 0
  let previous = -1
  for (const i of indices) {
    const isRepeat =
      previous >= 0 &&
      keys[i] === keys[previous] &&
      timestamps[i] === timestamps[previous] &&
      steps[i] === steps[previous] &&
      isSameValue(values[i] as number, values[previous] as number)
    if (!isRepeat) {
      indices[n++] = i
      previous = i
    }
  }
  return pickPoints(points, indices.subarray(0, n))
}

/** How many points equal the one before them, or -1 if the points are out of order. */
function countEqualsIfSorted(points: Points, timestamps: Float64Array, steps: Float64Array) {
  const { n, keys, values } = points
  let equals = 0
  for (let i = 1; i < n; i++) {
    const key = keys[i] as number
    const previousKey = keys[i - 1] as number
    if (key > previousKey) continue
    if (key < previousKey) return -1
    const timestamp = timestamps[i] as number
    const previousTimestamp = timestamps[i - 1] as number
    if (timestamp > previousTimestamp) continue
    if (timestamp < previousTimestamp) return -1
    const step = steps[i] as number
    const previousStep = steps[i - 1] as number
    if (step > previousStep) continue
    if (step < previousStep) return -1
    const value = values[i] as number
    const previousValue = values[i - 1] as number
    if (compareValues(value, previousValue) < 0) return -1
    if (isSameValue(value, previousValue)) equals++
  }
  return equals
}

function isSameValue(a: number, b: number): boolean {
  return a === b || (Number.isNaN(a) && Number.isNaN(b))
}

function sortIndices(points: Points, timestamps: Float64Array, steps: Float64Array): Uint32Array {
  const { starts, indices } = groupByKey(points)
  for (let group = 0; group + 1 < starts.length; group++) {
    const ofKey = indices.subarray(starts[group], starts[group + 1])
    sortWithinKey(ofKey, timestamps, steps, points.values)
  }
  return indices
}

/** Indices of the points by key, in their given order within a key; group g starts at `starts[g]`. */
function groupByKey(points: Points) {
  const { keys, slots } = numberKeys(points)
  const starts = new Uint32Array(keys.length + 1)
  for (const slot of slots) starts[slot + 1] = (starts[slot + 1] as number) + 1
  for (let group = 1; group < starts.length; group++) {
    starts[group] = (starts[group] as number) + (starts[group - 1] as number)
  }
  const next = starts.slice()
  const indices = new Uint32Array(points.n)
  for (let i = 0; i < points.n; i++) {
    const slot = slots[i] as number
    const at = next[slot] as number
    indices[at] = i
    next[slot] = at + 1
  }
  return { starts, indices }
}

/**
 * Sorts indices of points of one key, in place, by (major, minor, value); a scan when they already
 * are in order, as they are when one writer logged them.
 */
export function sortWithinKey(
  indices: Uint32Array,
  major: Float64Array,
  minor: Float64Array,
  values: Float64Array,
): void {
  const compare = (a: number, b: number) =>
    (major[a] as number) - (major[b] as number) ||
    (minor[a] as number) - (minor[b] as number) ||
    compareValues(values[a] as number, values[b] as number)
  for (let i = 1; i < indices.length; i++) {
    if (compare(indices[i - 1] as number, indices[i] as number) > 0) {
      indices.sort(compare)
      return
    }
  }
}

/** The indices 0 to n - 1. */
export function identity(n: number): Uint32Array {
  const indices = new Uint32Array(n)
  for (let i = 0; i < n; i++) indices[i] = i
  return indices
}

/**
 * Doubles that are equal and ordered exactly as the column's values: the column itself, or the rank
 * of each value where they need 64 bits. Only these functions of order need no second version.
 */
export function orderColumn(column: Ints): Float64Array {
  if (column instanceof Float64Array) return column
  const ranks = new Map<bigint, number>()
  for (const value of column.toSorted()) if (!ranks.has(value)) ranks.set(value, ranks.size)
  return Float64Array.from(column, (value) => ranks.get(value) as number)
}

/** The distinct keys, ascending, and for every point the position of its key among them. */
export function numberKeys(points: Points): { keys: Int32Array; slots: Uint32Array } {
  const { n } = points
  let least = Number.POSITIVE_INFINITY
  let greatest = Number.NEGATIVE_INFINITY
  for (let i = 0; i < n; i++) {
    const key = points.keys[i] as number
    if (key < least) least = key
    if (key > greatest) greatest = key
  }
  // Ids are dense where a run's keys were created together; a table is then three times faster.
  return greatest - least < 4 * n + 1024
    ? numberDenseKeys(points, least, greatest)
    : numberSparseKeys(points)
}

function numberDenseKeys(points: Points, least: number, greatest: number) {
  const table = new Uint32Array(points.n === 0 ? 0 : greatest - least + 1)
  for (let i = 0; i < points.n; i++) table[(points.keys[i] as number) - least] = 1
  const keys = new Int32Array(table.length)
  let distinct = 0
  for (let offset = 0; offset < table.length; offset++) {
    if (table[offset] === 0) continue
    table[offset] = distinct
    keys[distinct++] = least + offset
  }
  const slots = new Uint32Array(points.n)
  for (let i = 0; i < points.n; i++) {
    slots[i] = table[(points.keys[i] as number) - least] as number
  }
  return { keys: keys.subarray(0, distinct), slots }
}

function numberSparseKeys(points: Points) {
  const arrivalOf = new Map<number, number>()
  const slots = new Uint32Array(points.n)
  for (let i = 0; i < points.n; i++) {
    const key = points.keys[i] as number
    let arrival = arrivalOf.get(key)
    if (arrival === undefined) {
      arrival = arrivalOf.size
      arrivalOf.set(key, arrival)
    }
    slots[i] = arrival
  }
  const keys = Int32Array.from(arrivalOf.keys()).sort()
  const slotOf = new Uint32Array(keys.length)
  for (let slot = 0; slot < keys.length; slot++) {
    slotOf[arrivalOf.get(keys[slot] as number) as number] = slot
  }
  for (let i = 0; i < slots.length; i++) slots[i] = slotOf[slots[i] as number] as number
  return { keys, slots }
}
