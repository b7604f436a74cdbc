import { ApiError } from '@millrace/api/errors'
import type { Json } from './python-json.ts'

/** The types of numbers by NumPy's names, which are ONNX Runtime's too, and `object` for all else. */
export type ItemType =
  | 'bool'
  | 'float32'
  | 'float64'
  | 'int8'
  | 'int16'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'uint16'
  | 'uint32'
  | 'uint64'
  | 'object'

/** The types of numbers. */
export type NumericType = Exclude<ItemType, 'object'>

/** Floats are `number`, whole numbers `bigint`; what else JSON holds is of type `object`. */
export type Item = Exclude<Json, Json[] | Map<string, Json>>

/** A NumPy array: its items in row-major order. */
export interface NumberArray {
  type: ItemType
  /** Empty for a single value. */
  shape: number[]
  items: Item[]
}

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/** Whether a word is the name of a type of numbers. */
export function isNumericType(name: string): name is NumericType {
  return /^(bool|float(32|64)|u?int(8|16|32|64))$/.test(name)
}

/**
 * NumPy's `np.array` of nested lists, of a type that is given or found.
 *
 * @throws ApiError BAD_REQUEST when the lists are ragged or an item is not of the type
 */
export function toArray(value: Json, type?: ItemType): NumberArray {
  const shape: number[] = []
  for (let inner = value; Array.isArray(inner); inner = inner[0] ?? null) {
    shape.push(inner.length)
    if (inner.length === 0) break
  }
  const items: Item[] = []
  collect(value, shape, 0, items)
  const found = type ?? arrayType(items)
  return {
    type: found,
    shape,
    items: type ? items.map((item) => convertItem(item, type)) : unify(items, found),
  }
}

function collect(value: Json, shape: number[], depth: number, into: Item[]): void {
  if (Array.isArray(value) ? value.length !== shape[depth] : depth < shape.length) throw ragged()
  if (value instanceof Map) throw badRequest('A dictionary where a number is expected.')
  if (!Array.isArray(value)) into.push(value)
  else for (const inner of value) collect(inner, shape, depth + 1, into)
}

function ragged(): ApiError {
  return badRequest('setting an array element with a sequence: the lists are of different lengths.')
}

/** The type that NumPy finds for items of several kinds. */
function arrayType(items: readonly Item[]): ItemType {
  const kinds = new Set(items.map((item) => typeof item))
  if (kinds.has('string') || kinds.has('object')) return 'object'
  if (kinds.has('number') || items.length === 0) return 'float64'
  if (!kinds.has('bigint')) return 'bool'
  return items.every(isInt64) ? 'int64' : 'object'
}

/** The type that pandas finds for a column: a missing value makes floats of whole numbers. */
export function columnType(items: readonly Json[]): ItemType {
  const kinds = new Set(items.map((item) => (item === null ? 'null' : typeof item)))
  if (kinds.size === 1 && kinds.has('boolean')) return 'bool'
  for (const kind of ['boolean', 'string', 'object', 'undefined']) {
    if (kinds.has(kind as 'boolean')) return 'object'
  }
  if (!kinds.has('number') && !kinds.has('bigint')) return 'object'
  if (kinds.has('number') || kinds.has('null')) return 'float64'
  return (items as Item[]).every(isInt64) ? 'int64' : 'object'
}

function isInt64(item: Item): boolean {
  return typeof item !== 'bigint' || (item >= INT64_MIN && item <= INT64_MAX)
}

/** Items as those of the type that was found for them; of `object` they stay what they are. */
export function unify<T extends Json>(items: readonly T[], type: ItemType): (T | Item)[] {
  if (type === 'float64') return items.map((item) => (item === null ? Number.NaN : Number(item)))
  if (type === 'int64') return items.map((item) => BigInt(item as bigint | boolean))
  return [...items]
}

/**
 * One item as another type, as NumPy and pandas convert them: fractions are cut off, text is read.
 *
 * @throws ApiError BAD_REQUEST in Python's words
 */
export function convertItem(item: Item, type: ItemType): Item {
  switch (type) {
    case 'object':
      return item
    case 'bool':
      return typeof item === 'number' ? item !== 0 : Boolean(item)
    case 'float64':
      return toFloat(item)
    case 'float32':
      return Math.fround(toFloat(item))
    default:
      return toInteger(item, type)
  }
}

function toFloat(item: Item): number {
  if (item === null) return Number.NaN
  if (typeof item !== 'string') return Number(item)
  const text = item.trim().toLowerCase()
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/.test(text)) return Number(text)
  const [, sign, word] = /^([-+]?)(nan|inf|infinity)$/.exec(text) ?? []
  if (word === undefined) throw badRequest(`could not convert string to float: '${item}'`)
  if (word === 'nan') return Number.NaN
  return sign === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

function toInteger(item: Item, type: ItemType): bigint {
  const value = wholeNumber(item)
  const isSigned = type.startsWith('int')
  const bits = Number(type.replace(/^\D+/, ''))
  const isWithin = (isSigned ? BigInt.asIntN : BigInt.asUintN)(bits, value) === value
  if (isWithin) return value
  throw badRequest(`Python integer ${value} out of bounds for ${type}`)
}

function wholeNumber(item: Item): bigint {
  if (item === null) {
    throw badRequest(
      "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'",
    )
  }
  if (typeof item === 'string') {
    if (/^\s*[-+]?\d{1,40}\s*$/.test(item)) return BigInt(item.trim().replace(/^\+/, ''))
    throw badRequest(`invalid literal for int() with base 10: '${item}'`)
  }
  if (typeof item !== 'number') return BigInt(item)
  if (Number.isFinite(item)) return BigInt(Math.trunc(item))
  throw badRequest('Cannot convert non-finite values (NA or inf) to integer')
}

function badRequest(message: string): ApiError {
  return new ApiError('BAD_REQUEST', message)
}
