/**
 * Metric points as columns. Loops read them as `column[i] as number`: the index is below `n` by
 * construction, and a checked read would be felt at millions of points a second.
 */
export interface Points {
  /** Number of points; the length of every column. */
  n: number
  /** Id of the metric's name, as in the `key_name` table. */
  keys: Int32Array
  steps: Ints
  /** Milliseconds since 1970 by MLflow's convention, any int64 by its type. */
  timestamps: Ints
  /** NaN is NaN here; MLflow's tables hold it as 0 with `is_nan`, and points sort that way. */
  values: Float64Array
}

/**
 * A column of int64: doubles while every value is a safe integer, else 64-bit integers. Never a
 * `BigInt64Array` of which every value is safe, so equal points have equal columns.
 */
export type Ints = Float64Array | BigInt64Array

/** One int64: a number where that is exact, else a bigint. The two compare with `<` exactly. */
export type Int64 = number | bigint

/** Collects points; columns double when full, and turn to 64 bits at the first value that needs it. */
export class PointsBuilder {
  #n = 0
  #keys: Int32Array
  #steps: Ints
  #timestamps: Ints
  #values: Float64Array

  constructor(capacity = 64) {
    this.#keys = new Int32Array(capacity)
    this.#steps = new Float64Array(capacity)
    this.#timestamps = new Float64Array(capacity)
    this.#values = new Float64Array(capacity)
  }

  /** Number of points so far. */
  get n(): number {
    return this.#n
  }

  /** Throws a `RangeError` for a step or timestamp that is no int64. */
  add(key: number, step: Int64, timestamp: Int64, value: number): void {
    const i = this.#n
    if (i === this.#keys.length) this.#grow(i + 1)
    this.#steps = put(this.#steps, i, step)
    this.#timestamps = put(this.#timestamps, i, timestamp)
    this.#keys[i] = key
    this.#values[i] = value
    this.#n = i + 1
  }

  append(points: Points): void {
    const n = this.#n + points.n
    if (n > this.#keys.length) this.#grow(n)
    this.#keys.set(points.keys, this.#n)
    this.#steps = putColumn(this.#steps, this.#n, points.steps)
    this.#timestamps = putColumn(this.#timestamps, this.#n, points.timestamps)
    this.#values.set(points.values, this.#n)
    this.#n = n
  }

  /** The points so far, as views: adding more leaves them as they are. */
  points(): Points {
    return {
      n: this.#n,
      keys: this.#keys.subarray(0, this.#n),
      steps: this.#steps.subarray(0, this.#n),
      timestamps: this.#timestamps.subarray(0, this.#n),
      values: this.#values.subarray(0, this.#n),
    }
  }

  #grow(n: number): void {
    const capacity = Math.max(n, 2 * this.#keys.length, 64)
    this.#keys = enlarged(this.#keys, new Int32Array(capacity))
    this.#steps = enlargedInts(this.#steps, capacity)
    this.#timestamps = enlargedInts(this.#timestamps, capacity)
    this.#values = enlarged(this.#values, new Float64Array(capacity))
  }
}

function enlarged<Column extends Int32Array | Float64Array>(from: Column, to: Column): Column {
  to.set(from)
  return to
}

function enlargedInts(column: Ints, capacity: number): Ints {
  if (column instanceof Float64Array) return enlarged(column, new Float64Array(capacity))
  const wide = new BigInt64Array(capacity)
  wide.set(column)
  return wide
}

function put(column: Ints, i: number, value: Int64): Ints {
  if (column instanceof Float64Array) {
    if (Number.isSafeInteger(value)) {
      // The sum turns -0, which JSON can say and an int64 cannot, to 0.
      column[i] = (value as number) + 0
      return column
    }
    const exact = int64(value)
    if (isSafe(exact)) {
      column[i] = Number(exact)
      return column
    }
    const wide = widened(column, i)
    wide[i] = exact
    return wide
  }
  column[i] = int64(value)
  return column
}

function int64(value: Int64): bigint {
  const exact = BigInt(value)
  if (BigInt.asIntN(64, exact) !== exact) throw new RangeError(`${value} is not a 64-bit integer`)
  return exact
}

function isSafe(value: bigint): boolean {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER
}

function putColumn(column: Ints, at: number, more: Ints): Ints {
  if (column instanceof Float64Array) {
    if (more instanceof Float64Array) {
      column.set(more, at)
      return column
    }
    const wide = widened(column, at)
    wide.set(more, at)
    return wide
  }
  column.set(more instanceof Float64Array ? widened(more, more.length) : more, at)
  return column
}

/** A 64-bit column of the same length that holds the first `n` values. */
export function widened(column: Float64Array, n: number): BigInt64Array {
  const wide = new BigInt64Array(column.length)
  for (let i = 0; i < n; i++) wide[i] = BigInt(column[i] as number)
  return wide
}

/** The column as doubles if every value is a safe integer, else the column itself. */
export function narrowed(column: BigInt64Array): Ints {
  return column.every(isSafe) ? Float64Array.from(column, Number) : column
}

/** The value at `i`, a number wherever that is exact. */
export function intAt(column: Ints, i: number): Int64 {
  const value = column[i] as Int64
  return typeof value === 'bigint' && isSafe(value) ? Number(value) : value
}

/** Points `from` to `to` (exclusive), as views where the columns allow it. */
export function slicePoints(points: Points, from: number, to: number): Points {
  return {
    n: to - from,
    keys: points.keys.subarray(from, to),
    steps: sliceInts(points.steps, from, to),
    timestamps: sliceInts(points.timestamps, from, to),
    values: points.values.subarray(from, to),
  }
}

function sliceInts(column: Ints, from: number, to: number): Ints {
  return column instanceof Float64Array
    ? column.subarray(from, to)
    : narrowed(column.subarray(from, to))
}

/** The points at the given indices, in that order, in columns of their own. */
export function pickPoints(points: Points, indices: Uint32Array): Points {
  const n = indices.length
  const keys = new Int32Array(n)
  const values = new Float64Array(n)
  for (let i = 0; i < n; i++) {
    const from = indices[i] as number
    keys[i] = points.keys[from] as number
    values[i] = points.values[from] as number
  }
  return {
    n,
    keys,
    steps: pickInts(points.steps, indices),
    timestamps: pickInts(points.timestamps, indices),
    values,
  }
}

function pickInts(column: Ints, indices: Uint32Array): Ints {
  if (column instanceof Float64Array) {
    const picked = new Float64Array(indices.length)
    for (let i = 0; i < picked.length; i++) picked[i] = column[indices[i] as number] as number
    return picked
  }
  const picked = new BigInt64Array(indices.length)
  for (let i = 0; i < picked.length; i++) picked[i] = column[indices[i] as number] as bigint
  return narrowed(picked)
}

/** The points of some keys, in their order; the points themselves when nothing else is in them. */
export function selectKeys(points: Points, keys: ReadonlySet<number>): Points {
  const indices = new Uint32Array(points.n)
  let n = 0
  for (let i = 0; i < points.n; i++) {
    if (keys.has(points.keys[i] as number)) indices[n++] = i
  }
  return n === points.n ? points : pickPoints(points, indices.subarray(0, n))
}
