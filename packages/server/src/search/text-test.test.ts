import * as fc from 'fast-check'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Db } from '../db/dialect.ts'
import type { ListTest, TextTest } from './filter.ts'
import { textCondition } from './test-conditions.ts'
import { openTestDatabase } from './test-database.ts'
import { passesTextTest } from './text-test.ts'

let db: Db
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.destroy())

test('says in memory what the database says of a column', async () => {
  const letters = fc.string({
    unit: fc.constantFrom('a', 'b', 'A', '%', '_', '\\', '.'),
    maxLength: 6,
  })
  const tests: fc.Arbitrary<TextTest | ListTest> = fc.oneof(
    fc.record({
      type: fc.constant('text'),
      comparator: fc.constantFrom('=', '!=', 'LIKE', 'ILIKE'),
      value: letters,
    }),
    fc.record({
      type: fc.constant('list'),
      comparator: fc.constantFrom('IN', 'NOT IN'),
      value: fc.array(letters, { minLength: 1, maxLength: 3 }),
    }),
  )
  await fc.assert(
    fc.asyncProperty(letters, tests, async (text, textTest) => {
      const condition = textCondition(sql`${text}`, textTest)
      const { rows } = await sql`select 1 where ${condition}`.execute(db)
      expect(passesTextTest(text, textTest)).toEqual(rows.length === 1)
    }),
    { numRuns: 1000 },
  )
}, 360_000)
