import { type Expression, type SqlBool, sql } from 'kysely'
import { like, likeIgnoringCase } from '../db/dialect.ts'
import type { ListTest, NumberComparator, NumberTest, TextTest } from './filter.ts'

/** Exports how one test of a clause becomes SQL over a column. A null column never passes. */

export const NEVER = sql<SqlBool>`1 = 0`
export const ALWAYS = sql<SqlBool>`1 = 1`

export function textCondition(
  column: Expression<unknown>,
  test: TextTest | ListTest,
): Expression<SqlBool> {
  if (test.type === 'list') {
    const values = sql.join(test.value)
    return test.comparator === 'IN'
      ? sql<SqlBool>`${column} in (${values})`
      : sql<SqlBool>`${column} not in (${values})`
  }
  if (test.comparator === 'LIKE') return like(column, test.value)
  if (test.comparator === 'ILIKE') return likeIgnoringCase(column, test.value)
  return sql<SqlBool>`${column} ${OPERATOR[test.comparator]} ${test.value}`
}

/** Over a column of doubles, none of which is infinite. */
export function numberCondition(
  column: Expression<unknown>,
  { comparator, value }: NumberTest,
): Expression<SqlBool> {
  const number = Number(value)
  if (!Number.isFinite(number)) return constant(column, passesBound(comparator, number))
  return sql<SqlBool>`${column} ${OPERATOR[comparator]} ${number}`
}

const INT64_MAX = 2n ** 63n - 1n
const INT64_MIN = -(2n ** 63n)

/**
 * Over a column of 64-bit integers: the literal becomes an integer too, because not every database
 * compares an integer column with a fraction.
 */
export function integerCondition(
  column: Expression<unknown>,
  { comparator, value }: NumberTest,
): Expression<SqlBool> {
  if (typeof value === 'number' && !Number.isInteger(value) && Number.isFinite(value)) {
    if (comparator === '=' || comparator === '!=') return constant(column, comparator === '!=')
    const roundsUp = comparator === '<' || comparator === '>='
    const whole = roundsUp ? Math.ceil(value) : Math.floor(value)
    return integerCondition(column, { type: 'number', comparator, value: whole })
  }
  if (!Number.isFinite(Number(value)) || value > INT64_MAX || value < INT64_MIN) {
    return constant(column, passesBound(comparator, Number(value)))
  }
  return sql<SqlBool>`${column} ${OPERATOR[comparator]} ${value}`
}

const OPERATOR = {
  '=': sql`=`,
  '!=': sql`<>`,
  '>': sql`>`,
  '>=': sql`>=`,
  '<': sql`<`,
  '<=': sql`<=`,
} as const

/** Whether every value passes, when the literal lies beyond all of them on the side of its sign. */
function passesBound(comparator: NumberComparator, bound: number): boolean {
  if (comparator === '=' || comparator === '!=') return comparator === '!='
  return comparator.startsWith('<') === bound > 0
}

function constant(column: Expression<unknown>, passes: boolean): Expression<SqlBool> {
  return passes ? sql<SqlBool>`${column} is not null` : NEVER
}

/** All of them; Kysely's own `and` would put each into parentheses of its own. */
export function allOf(conditions: readonly Expression<SqlBool>[]): Expression<SqlBool> {
  return conditions.length === 0 ? ALWAYS : sql<SqlBool>`${sql.join(conditions, sql` and `)}`
}

/** `value in (...)`; a number that is an integer for sure is safe to write out. */
export function isOneOf(
  column: Expression<unknown>,
  values: readonly number[],
): Expression<SqlBool> {
  const [only] = values
  if (values.length === 1 && only !== undefined) return sql<SqlBool>`${column} = ${only}`
  const listed = values.length > INLINE_FROM ? values.map((value) => sql.lit(value)) : values
  return sql<SqlBool>`${column} in (${sql.join(listed)})`
}

/** Statements take some ten thousand parameters at most. */
const INLINE_FROM = 1000
