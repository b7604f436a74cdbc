import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Db } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import { testUuid } from './arbitrary-searches.ts'
import { sortBounded } from './bounded-sort.ts'
import { parseFilter } from './filter.ts'
import { runGrammar } from './grammar-runs.ts'
import { parseRunOrderBy } from './order-by.ts'
import { queryRuns, type RunSearch } from './run-general-query.ts'
import { ALWAYS } from './test-conditions.ts'
import { openTestDatabase } from './test-database.ts'
import { insertTestExperiment, insertTestRun } from './test-rows.ts'

const RUNS = 48
const PAGE = 3

/** Some texts differ only behind the head that an index holds. */
function textOf(index: number): string {
  return index % 4 === 0 ? `${'x'.repeat(450)}${index % 7}` : `${'yxwz'[index % 3]}${index % 9}`
}

let db: Db
beforeAll(async () => {
  db = await openTestDatabase()
  await insertTestExperiment(db, { id: 1, name: 'e' })
  for (let index = 0; index < RUNS; index++) {
    const isBare = index % 12 === 5
    await insertTestRun(db, {
      uuid: testUuid(index),
      experiment: 1,
      name: textOf((index * 5) % RUNS),
      user_id: 'ann',
      status: 3,
      start_time: 1000 + ((index * 7) % 10),
      end_time: index % 8 === 6 ? null : 2000 + ((index * 5) % 9),
      stage: 0,
      metrics: isBare ? {} : { m: index % 11 === 3 ? Number.NaN : (index * 5) % 6 },
      params: isBare ? {} : { p: textOf(index) },
      tags: {},
      datasets: [],
    })
  }
})
afterAll(() => db.destroy())

test.each([
  [['metrics.m', 'params.p DESC']],
  [['metrics.m DESC', 'start_time']],
  [['params.p']],
  [['params.p DESC']],
  [['params.p DESC', 'metrics.m']],
  [['start_time', 'metrics.m']],
  [['start_time DESC', 'params.p']],
  [['end_time']],
  [['end_time DESC', 'metrics.m']],
  [['run_name']],
  [['run_name DESC', 'metrics.m']],
])('pages by %j are the same when only those up to a bound are sorted', async (orderBy) => {
  const search: RunSearch = {
    experiments: [1],
    stages: [0],
    comparisons: parseFilter('metrics.m != 4', runGrammar),
    order: parseRunOrderBy(orderBy),
    keyIds: await keyNames(db).find(db, ['m', 'p']),
    visible: ALWAYS,
  }
  const all = await queryRuns(db, search, { start: undefined, limit: RUNS })
  let bounded = 0
  for (let from = 0; from + PAGE <= all.length; from += PAGE) {
    const page = await sortBounded(db, search, all[from - 1]?.sortValues, PAGE)
    if (page === undefined) continue
    bounded++
    expect(page.map(({ row }) => row.uuid)).toEqual(
      all.slice(from, from + PAGE).map(({ row }) => row.uuid),
    )
  }
  expect(bounded).toBeGreaterThan(4)
})
