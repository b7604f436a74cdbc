import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Db } from '../db/dialect.ts'
import { openRecordedDatabase, RUNS_EXPERIMENT } from './recorded-database.ts'
import { searchExperimentsQuery } from './search-experiments-query.ts'
import { searchLoggedModelsQuery } from './search-logged-models-query.ts'
import { searchModelVersionsQuery } from './search-model-versions-query.ts'
import { searchRegisteredModelsQuery } from './search-registered-models-query.ts'
import type { Page } from './sorted-page.ts'
import { ALWAYS, NEVER } from './test-conditions.ts'
import { insertTestExperiment } from './test-rows.ts'

let db: Db
beforeEach(async () => {
  db = await openRecordedDatabase()
})
afterEach(() => db.destroy())

interface Ask {
  orderBy?: readonly string[] | undefined
  filter?: string | undefined
  visibility?: () => typeof ALWAYS
  workspace?: string
  maxResults?: number
  pageToken?: string | undefined
}

const defaults = {
  visibility: () => ALWAYS,
  workspace: 'default',
  filter: undefined,
  orderBy: undefined,
  maxResults: 100,
  pageToken: undefined,
  viewType: 'ALL',
} as const

const searches: Record<string, (ask: Ask) => Promise<Page<string>>> = {
  experiments: async (ask) =>
    named(await searchExperimentsQuery(db, { ...defaults, ...ask }), ({ name }) => name),
  'registered models': async (ask) =>
    named(await searchRegisteredModelsQuery(db, { ...defaults, ...ask }), ({ name }) => name),
  'model versions': async (ask) =>
    named(
      await searchModelVersionsQuery(db, { ...defaults, ...ask }),
      ({ name, version }) => `${name}/${version}`,
    ),
  'logged models': async ({ orderBy, ...ask }) => {
    const request = {
      ...defaults,
      ...ask,
      experiments: [RUNS_EXPERIMENT],
      datasets: undefined,
      orderBy: orderBy?.map((clause) => {
        const [field_name, direction] = clause.split(' ')
        return { field_name, ascending: direction !== 'DESC' }
      }),
    }
    return named(await searchLoggedModelsQuery(db, request), ({ name }) => name)
  },
}

function named<Row>({ rows, nextPageToken }: Page<Row>, name: (row: Row) => string): Page<string> {
  return { rows: rows.map(name), nextPageToken }
}

async function walkPages(
  search: (ask: Ask) => Promise<Page<string>>,
  ask: Ask,
  betweenPages = async () => {},
): Promise<string[]> {
  const found: string[] = []
  let pageToken: string | undefined
  do {
    const page = await search({ ...ask, pageToken })
    found.push(...page.rows)
    pageToken = page.nextPageToken
    if (pageToken !== undefined) await betweenPages()
  } while (pageToken !== undefined)
  return found
}

const orders: [entity: string, orderBy: string[]][] = [
  ['experiments', []],
  ['experiments', ['name']],
  ['experiments', ['last_update_time DESC', 'name DESC']],
  ['registered models', []],
  ['registered models', ['timestamp DESC']],
  ['model versions', []],
  ['model versions', ['version_number', 'name DESC']],
  ['model versions', ['creation_timestamp DESC']],
  ['logged models', []],
  ['logged models', ['metrics.acc']],
  ['logged models', ['metrics.acc DESC']],
  ['logged models', ['model_type', 'metrics.loss DESC']],
  ['logged models', ['status DESC', 'name']],
]

test.each(orders)('pages of %s by %j make up the whole', async (entity, orderBy) => {
  const search = searches[entity] ?? expect.fail(entity)
  const whole = (await search({ orderBy })).rows

  expect(whole.length).toBeGreaterThan(2)
  for (const maxResults of [1, 2]) {
    expect(await walkPages(search, { orderBy, maxResults })).toEqual(whole)
  }
})

test('experiments deleted or created between two pages hide and repeat no other', async () => {
  const search = searches['experiments'] ?? expect.fail()
  let pages = 0

  const found = await walkPages(search, { orderBy: ['name'], maxResults: 2 }, async () => {
    pages++
    if (pages === 1) await db.deleteFrom('experiment').where('name', '=', 'Default').execute()
    if (pages === 2) await insertTestExperiment(db, { id: 999, name: 'Aaa' })
  })

  expect(found).toEqual(['Churn-2', 'Default', 'churn', 'gone', 'vision'])
})

describe.each(Object.entries(searches))('a search of %s', (entity, search) => {
  test('finds nothing that the caller may not see', async () => {
    expect((await search({ visibility: () => NEVER })).rows).toEqual([])
  })

  test('refuses the token of another search', async () => {
    const { nextPageToken } = await search({ maxResults: 1 })
    const others = Object.entries(searches).filter(([name]) => name !== entity)

    await expect(search({ filter: "name = 'x'", pageToken: nextPageToken })).rejects.toThrow(
      /^Invalid page token: it belongs to a search with another filter/,
    )
    for (const [, other] of others) {
      await expect(other({ pageToken: nextPageToken })).rejects.toThrow(
        /^Invalid page token: it belongs to a search of/,
      )
    }
  })

  test("takes an MLflow server's offset token", async () => {
    const whole = (await search({})).rows
    const pageToken = Buffer.from('{"offset": 1}').toString('base64')

    expect((await search({ pageToken })).rows).toEqual(whole.slice(1))
  })
})

test.each(['experiments', 'registered models', 'model versions'])(
  'a search of %s stays in its workspace',
  async (entity) => {
    const search = searches[entity] ?? expect.fail()

    expect((await search({ workspace: 'other' })).rows).toEqual([])
  },
)

test('logged models sort by their latest point, NaN after numbers, none last', async () => {
  const { id: model } = await db
    .selectFrom('logged_model')
    .select('id')
    .where('name', '=', 'm-two')
    .executeTakeFirstOrThrow()
  await db
    .insertInto('logged_model_metric')
    .values({
      model,
      key: 'acc',
      ts: 99,
      step: 0,
      run_id: 'r',
      experiment: RUNS_EXPERIMENT,
      value: 0,
      is_nan: 1,
      dataset_name: null,
      dataset_digest: null,
    })
    .execute()
  const search = searches['logged models'] ?? expect.fail()

  for (const orderBy of [['metrics.acc'], ['metrics.acc DESC']]) {
    expect((await search({ orderBy })).rows).toEqual(['m-one', 'm-two', 'm-three'])
  }
  expect((await search({ filter: 'metrics.acc = 0' })).rows).toEqual([])
  expect((await search({ filter: 'metrics.acc != 0.7' })).rows).toEqual(['m-two', 'm-one'])
})
