import * as fc from 'fast-check'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { testDatabase } from '../../test/shared-database.ts'
import type { Db } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import { EXPERIMENTS, filters, orders, RUNS_MAX, testRuns, testUuid } from './arbitrary-searches.ts'
import { type Comparison, parseFilter } from './filter.ts'
import { runGrammar } from './grammar-runs.ts'
import { searchNaively } from './naive-run-search.ts'
import { parseRunOrderBy, type RunOrder } from './order-by.ts'
import type { SortValue } from './page-token.ts'
import { queryRuns, type RunSearch, type SortedRun } from './run-general-query.ts'
import { walkRunIndex } from './run-index-walk.ts'
import { type SearchRunsRequest, searchRuns } from './search-runs-query.ts'
import { ALWAYS } from './test-conditions.ts'
import { openTestDatabase } from './test-database.ts'
import { insertTestExperiment, insertTestRun, type TestRun } from './test-rows.ts'

/** How many databases of random runs are asked; a server takes half a second to make one. */
const DATABASES = testDatabase === 'sqlite' ? 30 : 8

const request: SearchRunsRequest = {
  experiments: EXPERIMENTS,
  visibility: () => ALWAYS,
  comparisons: [],
  orderBy: [],
  viewType: 'ACTIVE_ONLY',
  maxResults: 1000,
  pageToken: undefined,
}

async function openWith(runs: readonly TestRun[]): Promise<Db> {
  const db = await openTestDatabase()
  for (const id of EXPERIMENTS) await insertTestExperiment(db, { id, name: `e${id}` })
  for (const run of runs) await insertTestRun(db, run)
  return db
}

function run(values: Partial<TestRun> & { uuid: string }): TestRun {
  return {
    experiment: 1,
    name: 'run',
    user_id: 'ann',
    status: 1,
    start_time: 0,
    end_time: null,
    stage: 0,
    metrics: {},
    params: {},
    tags: {},
    datasets: [],
    ...values,
  }
}

/** The ids of all pages, as a client that follows the tokens sees them. */
async function walkPages(
  db: Db,
  search: Partial<SearchRunsRequest>,
  betweenPages: () => Promise<void> = async () => {},
): Promise<string[]> {
  const found: string[] = []
  let pageToken: string | undefined
  do {
    const page = await searchRuns(db, { ...request, ...search, pageToken })
    found.push(...page.runs.map(({ uuid }) => uuid))
    pageToken = page.nextPageToken
    if (pageToken !== undefined) await betweenPages()
  } while (pageToken !== undefined)
  return found
}

const scopes = fc.record({
  experiments: fc.constantFrom([1], [2], [1, 2], EXPERIMENTS),
  viewType: fc.constantFrom('ACTIVE_ONLY', 'DELETED_ONLY', 'ALL'),
})

function inScope({ experiments, viewType }: Pick<SearchRunsRequest, 'experiments' | 'viewType'>) {
  return ({ experiment, stage }: TestRun) =>
    experiments.includes(experiment) &&
    (viewType === 'ALL' || (viewType === 'ACTIVE_ONLY') === (stage === 0))
}

describe('searchRuns', { timeout: 360_000 }, () => {
  test('finds what the filter means, in order, over pages of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        testRuns,
        fc.array(fc.tuple(filters, orders, scopes, fc.integer({ min: 1, max: 7 })), {
          minLength: 10,
          maxLength: 10,
        }),
        async (runs, searches) => {
          await using db = await openWith(runs)
          for (const [filter, orderBy, scope, maxResults] of searches) {
            const comparisons = parseFilter(filter, runGrammar)
            const order = parseRunOrderBy(orderBy)

            const found = await walkPages(db, { ...scope, comparisons, orderBy: order, maxResults })

            const expected = searchNaively(runs.filter(inScope(scope)), comparisons, order)
            expect(found).toEqual(expected.map(({ uuid }) => uuid))
          }
        },
      ),
      { numRuns: DATABASES },
    )
  })

  test('reads along an index exactly what the general statement reads', async () => {
    await fc.assert(
      fc.asyncProperty(
        testRuns,
        fc.array(fc.tuple(filters, orders, scopes), { minLength: 10, maxLength: 10 }),
        async (runs, searches) => {
          await using db = await openWith(runs)
          for (const [filter, orderBy, scope] of searches) {
            const comparisons = parseFilter(filter, runGrammar)
            const search = await prepare(db, scope, comparisons, parseRunOrderBy(orderBy))
            const all = await queryRuns(db, search, { start: undefined, limit: 100 })
            for (const size of [1, 3, 100]) {
              const walked = await walkToTheEnd(db, search, size)
              if (walked !== undefined) expect(walked).toEqual(all)
            }
          }
        },
      ),
      { numRuns: DATABASES },
    )
  })

  test('reads along an index what a clause about the ordered field leaves', async () => {
    const runs = fc
      .sample(testRuns, { numRuns: 20, seed: 7 })
      .flat()
      .slice(0, RUNS_MAX * 4)
    for (const [index, each] of runs.entries()) each.uuid = testUuid(index)
    await using db = await openWith(runs)
    const questions = [
      ...['=', '!=', '>', '<='].map((each) => ['metrics.m1', `metrics.m1 ${each} 1`] as const),
      ...['=', '!=', 'LIKE'].map((each) => ['params.p1', `params.p1 ${each} 'a'`] as const),
      ...['IS NULL', 'IS NOT NULL'].map((each) => ['tags.t1', `tags.t1 ${each}`] as const),
      ...['metrics.m1', 'params.p1', 'tags.t1'].map((each) => [each, ''] as const),
    ]
    for (const [field, filter] of questions) {
      for (const direction of ['ASC', 'DESC']) {
        for (const experiments of [[1], EXPERIMENTS]) {
          const comparisons = parseFilter(filter, runGrammar)
          const order = parseRunOrderBy([`${field} ${direction}`])
          const scope = { experiments, viewType: 'ACTIVE_ONLY' } as const
          const search = await prepare(db, scope, comparisons, order)

          const expected = searchNaively(runs.filter(inScope(scope)), comparisons, order)
          const walked = await walkToTheEnd(db, search, 2)
          const isWalkable = experiments.length === 1 || field.startsWith('metrics')
          expect(walked?.map(({ row }) => row.uuid)).toEqual(
            isWalkable ? expected.map(({ uuid }) => uuid) : undefined,
          )
        }
      }
    }
  })

  test('neither repeats nor skips a run while others are written and deleted', async () => {
    await fc.assert(
      fc.asyncProperty(
        testRuns,
        orders,
        fc.infiniteStream(fc.nat()),
        async (runs, orderBy, dice) => {
          const isVictim = (_run: TestRun, index: number) => index % 3 === 0
          const victims = runs.filter(isVictim)
          const others = new Set(
            runs.filter((each, index) => !isVictim(each, index)).map(({ uuid }) => uuid),
          )
          await using db = await openWith(runs)
          let inserted = 1000
          const orderFields = parseRunOrderBy(orderBy)

          const scope = { viewType: 'ALL', maxResults: 2, orderBy: orderFields } as const
          const found = await walkPages(db, scope, async () => {
            const victim = victims.pop()
            if (victim) await deleteRun(db, victim.uuid)
            const template = runs[dice.next().value % runs.length]
            if (template && inserted < 1010) {
              await insertTestRun(db, { ...template, uuid: testUuid(inserted++) })
            }
          })

          const seen = found.filter((uuid) => others.has(uuid))
          const expected = searchNaively(runs, [], orderFields).map(({ uuid }) => uuid)
          expect(seen).toEqual(expected.filter((uuid) => others.has(uuid)))
          expect(new Set(found).size).toBe(found.length)
        },
      ),
      { numRuns: DATABASES },
    )
  })

  test('gives a token only when more runs follow', async () => {
    await using db = await openWith([run({ uuid: 'a' }), run({ uuid: 'b' })])

    expect((await searchRuns(db, { ...request, maxResults: 2 })).nextPageToken).toBeUndefined()
    expect((await searchRuns(db, { ...request, maxResults: 1 })).nextPageToken).toBeTypeOf('string')
  })

  test('takes the offset tokens that MLflow servers give out', async () => {
    await using db = await openWith(['a', 'b', 'c'].map((uuid) => run({ uuid })))
    const pageToken = Buffer.from('{"offset": 2}').toString('base64')

    const { runs } = await searchRuns(db, { ...request, pageToken })

    expect(runs.map(({ uuid }) => uuid)).toEqual(['c'])
  })

  test('refuses a token with another filter, order, scope or view', async () => {
    await using db = await openWith([run({ uuid: 'a' }), run({ uuid: 'b' })])
    const { nextPageToken: pageToken } = await searchRuns(db, { ...request, maxResults: 1 })
    const others: Partial<SearchRunsRequest>[] = [
      { comparisons: parseFilter('metrics.x > 1', runGrammar) },
      { orderBy: parseRunOrderBy(['start_time DESC']) },
      { experiments: [1] },
      { viewType: 'ALL' },
    ]

    for (const other of others) {
      await expect(searchRuns(db, { ...request, ...other, pageToken })).rejects.toMatchObject({
        code: 'INVALID_PARAMETER_VALUE',
        message: expect.stringMatching(/^Invalid page token: it belongs to a search with another/),
      })
    }
  })

  test('shows only what the caller may see, on every path', async () => {
    const runs = [1, 2].map((experiment) =>
      run({ uuid: `of-${experiment}`, experiment, metrics: { m: 1 }, params: { p: 'x' } }),
    )
    await using db = await openWith(runs)
    const visible = { visibility: (experiment: unknown) => sql<boolean>`${experiment} = 2` }

    for (const orderBy of [[], ['metrics.m'], ['params.p'], ['status'], ['metrics.none']]) {
      for (const filter of ['', "params.p = 'x'", "params.p LIKE '%'"]) {
        const comparisons = parseFilter(filter, runGrammar)
        const order = parseRunOrderBy(orderBy)
        expect(await walkPages(db, { ...visible, comparisons, orderBy: order })).toEqual(['of-2'])
        const alone = { ...visible, experiments: [1], comparisons, orderBy: order }
        expect(await walkPages(db, alone)).toEqual([])
      }
    }
  })

  test('sorts many runs with one value by start time, latest first', async () => {
    const runs = Array.from({ length: 2100 }, (_, index) =>
      run({ uuid: testUuid(index), start_time: index % 50, metrics: { m: 1 } }),
    )
    await using db = await openWith(runs)
    const orderBy = parseRunOrderBy(['metrics.m DESC'])

    const expected = searchNaively(runs, [], orderBy).map(({ uuid }) => uuid)
    for (const filter of ['', 'metrics.m = 1', 'metrics.m > 0 AND tags.t IS NULL']) {
      const comparisons = parseFilter(filter, runGrammar)
      expect(await walkPages(db, { comparisons, orderBy, maxResults: 500 })).toEqual(expected)
    }
  })

  test('runs the largest searches that the parsers take', async () => {
    await using db = await openWith([run({ uuid: 'a', metrics: { m: 1 }, params: { p: 'x' } })])
    const ids = `run_id IN ('a', ${Array.from({ length: 4999 }, (_, i) => `'${i}'`).join()})`
    const clauses = ["params.p != 'y'", 'metrics.m <= 1', "params.p LIKE 'x'", 'tags.t IS NULL']
    const filters = [
      Array.from({ length: 249 }, (_, i) => clauses[i % 4]).join(' AND '),
      Array(249).fill("params.p != 'y'").join(' AND '),
      `${ids} AND ${ids}`,
    ]
    const wide = Array.from({ length: 32 }, (_, i) => `metrics.m${i}`)
    const experiments = Array.from({ length: 20_000 }, (_, i) => i)

    for (const filter of filters) {
      const comparisons = parseFilter(filter, runGrammar)
      for (const orderBy of [[], ['metrics.m'], wide]) {
        const order = parseRunOrderBy(orderBy)
        expect(await walkPages(db, { comparisons, orderBy: order })).toEqual(['a'])
      }
    }
    expect(await walkPages(db, { experiments })).toEqual(['a'])
  })

  test('answers nothing for no experiment', async () => {
    await using db = await openWith([run({ uuid: 'a' })])

    const page = await searchRuns(db, { ...request, experiments: [] })

    expect(page).toEqual({ runs: [], nextPageToken: undefined })
  })
})

async function deleteRun(db: Db, uuid: string): Promise<void> {
  const { id } = await db
    .selectFrom('run')
    .select('id')
    .where('uuid', '=', uuid)
    .executeTakeFirstOrThrow()
  for (const table of ['metric_latest', 'param', 'tag', 'run_dataset'] as const) {
    await db.deleteFrom(table).where('run', '=', id).execute()
  }
  await db.deleteFrom('run').where('id', '=', id).execute()
}

async function prepare(
  db: Db,
  { experiments, viewType }: { experiments: readonly number[]; viewType: string },
  comparisons: readonly Comparison[],
  order: readonly RunOrder[],
): Promise<RunSearch> {
  const keys = [...comparisons, ...order].map(({ key }) => key)
  return {
    experiments,
    stages: viewType === 'ALL' ? [0, 1] : [viewType === 'ACTIVE_ONLY' ? 0 : 1],
    comparisons,
    order,
    keyIds: await keyNames(db).find(db, keys),
    visible: ALWAYS,
  }
}

async function walkToTheEnd(
  db: Db,
  search: RunSearch,
  size: number,
): Promise<SortedRun[] | undefined> {
  const found: SortedRun[] = []
  let after: readonly SortValue[] | undefined
  for (;;) {
    const page = await walkRunIndex(db, search, after, size)
    if (page === undefined) return undefined
    found.push(...page)
    if (page.length < size) return found
    after = page.at(-1)?.sortValues
  }
}
