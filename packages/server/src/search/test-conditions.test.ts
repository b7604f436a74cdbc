import { type Expression, type SqlBool, sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Db, kindOf } from '../db/dialect.ts'
import { parseFilter } from './filter.ts'
import { runGrammar } from './grammar-runs.ts'
import { integerCondition, numberCondition } from './test-conditions.ts'
import { openTestDatabase } from './test-database.ts'
import { insertTestExperiment } from './test-rows.ts'

let db: Db
beforeAll(async () => {
  db = await openTestDatabase()
  await insertTestExperiment(db, {})
})
afterAll(() => db.destroy())

const NUMBERS = ['0', '1', '-1', '0.5', '-0.5', '1.5', '1e308', '1e400', '-1e400']
const BIG = ['9223372036854775807', '-9223372036854775808', '9007199254740993', '1e19']
const COMPARATORS = ['=', '!=', '>', '>=', '<', '<=']

const TYPES = {
  sqlite: ['integer', 'real'],
  postgresql: ['bigint', 'double precision'],
  mysql: ['signed', 'double'],
} as const

async function passing(
  values: readonly (number | bigint)[],
  condition: (column: Expression<unknown>) => Expression<SqlBool>,
): Promise<string[]> {
  const passed: string[] = []
  const isInteger = values.every((value) => typeof value === 'bigint')
  const type = sql.raw(TYPES[kindOf(db)][isInteger ? 0 : 1])
  for (const value of values) {
    const typed = sql`cast(${value} as ${type})`
    const { rows } = await sql`select 1 from experiment where ${condition(typed)}`.execute(db)
    if (rows.length > 0) passed.push(String(value))
  }
  return passed
}

function compare(value: number | bigint, comparator: string, literal: string): boolean {
  const other = /^-?\d+$/.test(literal) ? BigInt(literal) : Number(literal)
  if (comparator === '=') return value <= other && value >= other
  if (comparator === '!=') return value < other || value > other
  if (comparator === '>') return value > other
  if (comparator === '>=') return value >= other
  return comparator === '<' ? value < other : value <= other
}

function testOf(comparator: string, literal: string) {
  const [comparison] = parseFilter(`start_time ${comparator} ${literal}`, runGrammar)
  return comparison?.type === 'number' ? comparison : expect.fail()
}

test.each(COMPARATORS)('%s compares integers with any number', async (comparator) => {
  const integers = [0n, 1n, -1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)]
  for (const literal of [...NUMBERS, ...BIG]) {
    const test = testOf(comparator, literal)
    expect(await passing(integers, (column) => integerCondition(column, test))).toEqual(
      integers.filter((value) => compare(value, comparator, literal)).map(String),
    )
  }
})

test.each(COMPARATORS)('%s compares doubles with any number', async (comparator) => {
  const doubles = [0, 1, -1, 0.5, -0.5, 1e308, Number.MAX_VALUE, -Number.MAX_VALUE]
  for (const literal of NUMBERS) {
    const test = testOf(comparator, literal)
    expect(await passing(doubles, (column) => numberCondition(column, test))).toEqual(
      doubles.filter((value) => compare(value, comparator, literal)).map(String),
    )
  }
})

test.each(COMPARATORS)('%s never passes a null', async (comparator) => {
  for (const literal of [...NUMBERS, ...BIG]) {
    const test = testOf(comparator, literal)
    for (const condition of [integerCondition(sql`null`, test), numberCondition(sql`null`, test)]) {
      expect((await sql`select 1 where ${condition}`.execute(db)).rows).toEqual([])
    }
  }
})
