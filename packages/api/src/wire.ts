import { z } from 'zod'

/**
 * MLflow's JSON habits, once: protobuf's lenient parsing on the way in (3.17 `parse_dict`), 64-bit
 * integers as plain numbers, enums that ignore unknown names, and doubles that may be text.
 */

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

function toInt64(value: number | bigint | string): number | bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  const exact = typeof value === 'number' ? BigInt(Math.trunc(value)) : BigInt(value)
  const narrow = Number(exact)
  return Number.isSafeInteger(narrow) ? narrow : exact
}

function isInt64(value: unknown): value is number | bigint | string {
  if (typeof value === 'number') {
    if (Number.isSafeInteger(value)) return true
    return Number.isFinite(value) && inRange(BigInt(Math.trunc(value)))
  }
  if (typeof value === 'bigint') return inRange(value)
  return typeof value === 'string' && /^[+-]?\d{1,19}$/.test(value) && inRange(BigInt(value))
}

function inRange(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX
}

/** A 64-bit integer: number where it is exact, bigint beyond 2^53; accepts decimal text. */
export const Int64 = z
  .custom<number | bigint | string>(isInt64)
  .transform(toInt64)
  .meta({ type: 'integer', format: 'int64' })
export type Int64 = number | bigint

function isInt32(value: unknown): value is number | string {
  const number = typeof value === 'string' && /^[+-]?\d{1,10}$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isFinite(number) && Math.abs(number) <= 2 ** 31 - 1
}

/** A 32-bit integer, or 64-bit one that only ever counts things, such as `max_results`. */
export const Int32 = z
  .custom<number | string>(isInt32)
  .transform((value) => Math.trunc(Number(value)))
  .meta({ type: 'integer', format: 'int32' })

const NAMED_DOUBLES: Record<string, number> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
}

/** Reads a double as protobuf JSON spells it, or returns undefined. */
export function parseDouble(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'string') return undefined
  if (Object.hasOwn(NAMED_DOUBLES, value)) return NAMED_DOUBLES[value]
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value) ? Number(value) : undefined
}

/** A double; `NaN` and the infinities travel as text. */
export const Double = z
  .custom<number | string>((value) => parseDouble(value) !== undefined)
  .transform((value) => parseDouble(value) ?? Number.NaN)
  .meta({ type: 'number', format: 'double' })

/** A double on its way out: protobuf JSON writes what JSON cannot hold as text. */
export function doubleToWire(value: number): number | string {
  return Number.isFinite(value) ? value : String(value)
}

/** True or false, also as query-string text in any case. */
export const Bool = z
  .union([z.boolean(), z.string().regex(/^(true|false)$/i)])
  .transform((value) => value === true || (typeof value === 'string' && /^true$/i.test(value)))
  .meta({ type: 'boolean' })

/** Text that protobuf lists as required: present and not empty. */
export const RequiredText = z.string().min(1)

/** The id of an experiment, which old clients send as a number. */
export const Id = z
  .union([z.string(), z.number(), z.bigint()])
  .transform(String)
  .meta({ type: 'string' })
export const RequiredId = Id.pipe(z.string().min(1))

/**
 * An enum by name or number, which may be text. As in protobuf's lenient parser an unknown name
 * counts as absent, and an unknown number is refused (MLflow 3.17 answers both so). `names` are
 * listed in the order of their numbers, the first one being `firstNumber`.
 */
export function lenientEnum<const Names extends readonly [string, ...string[]]>(
  names: Names,
  firstNumber: number,
) {
  return z
    .union([z.string(), z.number()])
    .transform((value, context): Names[number] | undefined => {
      const known = names.find((name) => name === value)
      if (known !== undefined || (typeof value === 'string' && !/^[+-]?\d+$/.test(value))) {
        return known
      }
      const numbered = names[Number(value) - firstNumber]
      if (numbered === undefined) context.addIssue(`${value} is no number of ${names.join(', ')}`)
      return numbered
    })
    .meta({ type: 'string', enum: [...names] })
}

/** A key with a value, as tags and params travel. */
export const KeyValue = z.object({ key: RequiredText, value: z.string().optional() })
export type KeyValue = { key: string; value: string }

/** A key with a value on its way out. */
export const KeyValueOut = z.object({ key: z.string(), value: z.string() })

/** Where the next page begins; absent on the last one. */
export const NextPageToken = z.string().optional()
