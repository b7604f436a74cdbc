import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Kysely, sql } from 'kysely'
import { type Db, insertRows } from '../packages/server/src/db/dialect.ts'
import { migrate } from '../packages/server/src/db/migrate.ts'
import type { Schema } from '../packages/server/src/db/schema.ts'
import { parseServerUri } from '../packages/server/src/db/server-address.ts'
import { connect } from '../packages/server/src/db/server-database.ts'
import { openSqliteFile, sqliteDialect } from '../packages/server/src/db/sqlite-dialect.ts'
import { parseFilter } from '../packages/server/src/search/filter.ts'
import { runGrammar } from '../packages/server/src/search/grammar-runs.ts'
import { parseRunOrderBy } from '../packages/server/src/search/order-by.ts'
import { searchRuns } from '../packages/server/src/search/search-runs-query.ts'
import { ALWAYS } from '../packages/server/src/search/test-conditions.ts'
import { databaseUri, openStore, STORES } from './store.ts'

/**
 * How long a page of 100 runs takes, by what is asked and by the size of the experiment:
 * `node bench/search.ts [--store postgresql] [runs...]`. Every figure is the median of repeated
 * requests in milliseconds; on SQLite of processor time, which is what they take when nothing else
 * runs.
 */

const METRICS = 10
const PARAMS = 8
const TAGS = 6
const PAGE = 100
const RUNS_PER_INSERT = 500
/** The processor's clock ticks too slowly for a single request. */
const REPEATS = 4

const ANSWERS = ['yes', 'no']
const HALVES = "metrics.m3 > 0.5 and params.p3 = 'z1' and tags.t2 LIKE '%y%'"

const QUESTIONS: { what: string; filter?: string; orderBy?: string[]; page?: number }[] = [
  { what: 'newest first' },
  { what: 'newest first, param = (1 of 10)', filter: "params.p1 = 'x3'" },
  { what: 'newest first, param = (1 of 1000)', filter: "params.p2 = 'y77'" },
  { what: 'newest first, metric > (half)', filter: 'metrics.m3 > 0.5' },
  { what: 'newest first, metric > (1 of 10000)', filter: 'metrics.m3 > 0.9999' },
  { what: 'newest first, param LIKE (1 of 1000)', filter: "params.p2 LIKE '%y77'" },
  { what: 'newest first, tag IS NULL (none)', filter: 'tags.t1 IS NULL' },
  { what: 'by metric', orderBy: ['metrics.m3 DESC'] },
  { what: 'by metric, page 5', orderBy: ['metrics.m3 DESC'], page: 5 },
  { what: 'by metric with ties (10 values)', orderBy: ['metrics.m9 DESC'] },
  { what: 'by metric, three clauses (each 1 of 2)', filter: HALVES, orderBy: ['metrics.m3 DESC'] },
  {
    what: 'the same, page 5',
    filter: HALVES,
    orderBy: ['metrics.m3 DESC'],
    page: 5,
  },
  {
    what: 'by metric, three clauses (1 of 100 together)',
    filter: "metrics.m3 > 0.5 and params.p1 = 'x3' and tags.t1 LIKE '%1%'",
    orderBy: ['metrics.m3 DESC'],
  },
  { what: 'by metric ascending, metric >', filter: 'metrics.m3 > 0.5', orderBy: ['metrics.m3'] },
  { what: 'by metric that one run in 100 has', orderBy: ['metrics.rare DESC'] },
  { what: 'by param', orderBy: ['params.p2'] },
  { what: 'by param, param =', filter: "params.p1 = 'x3'", orderBy: ['params.p2 DESC'] },
  { what: 'by metric, then param (no index)', orderBy: ['metrics.m9', 'params.p2'] },
  { what: 'by end time', orderBy: ['end_time'] },
  { what: 'by name', orderBy: ['run_name'] },
  { what: 'by name, page 5', orderBy: ['run_name DESC'], page: 5 },
  { what: 'newest first, name = (one)', filter: "run_name = 'run-777'" },
  { what: 'newest first, name LIKE (a few)', filter: "run_name LIKE '%-777%'" },
  { what: 'newest first, end time < (none)', filter: 'end_time < 1' },
  { what: 'newest first, status (all)', filter: "status = 'FINISHED'" },
  { what: 'newest first, status (none)', filter: "status = 'RUNNING'" },
]

const insertRuns = insertRows('run', {
  columns: [
    'id',
    'experiment',
    'uuid',
    'name',
    'user_id',
    'status',
    'start_time',
    'end_time',
    'artifact_uri',
    'stage',
  ],
})
const insertMetrics = insertRows('metric_latest', {
  columns: [
    'run',
    'key',
    'experiment',
    'n',
    'step',
    'ts',
    'value',
    'is_nan',
    'first',
    'first_is_nan',
    'first_step',
    'first_ts',
  ],
})
const insertParams = insertRows('param', { columns: ['run', 'key', 'experiment', 'value'] })
const insertTags = insertRows('tag', { columns: ['run', 'key', 'experiment', 'value'] })

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { store: { type: 'string', default: 'sqlite' } },
})
const store = STORES.find((each) => each === values.store)
if (store === undefined) throw new Error(`--store is one of ${STORES.join(', ')}`)
const closeStore = await openStore(store)
try {
  const sizes = positionals.map(Number)
  for (const size of sizes.length > 0 ? sizes : [1500, 10_000, 75_000]) await measure(size)
} finally {
  await closeStore()
}

async function measure(size: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    await using db = await openDatabase(folder)
    await migrate(db)
    await db.transaction().execute((transaction) => fill(transaction, size))
    if (store !== 'sqlite') await analyse(db)
    console.log(`\n${size} runs, ${METRICS} metrics, ${PARAMS} params, ${TAGS} tags each: ms`)
    for (const question of QUESTIONS) {
      const { ms, found } = await time(db, question)
      console.log(`${ms.toFixed(2).padStart(9)}  ${question.what} (${found})`)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function openDatabase(folder: string): Promise<Db> {
  if (store !== 'sqlite') return connect(parseServerUri(await databaseUri(folder)), 8)
  const path = join(folder, 'search.db')
  const file = openSqliteFile(path, { synchronous: 'normal', queryOnly: false })
  return new Kysely<Schema>({ dialect: sqliteDialect(file) })
}

/** What a server does by itself after a while. */
async function analyse(db: Db): Promise<void> {
  for (const table of ['run', 'metric_latest', 'param', 'tag']) {
    const isPostgres = store === 'postgresql'
    await sql.raw(isPostgres ? `vacuum analyze ${table}` : `analyze table ${table}`).execute(db)
  }
}

async function time(
  db: Db,
  { filter, orderBy, page = 1 }: (typeof QUESTIONS)[number],
): Promise<{ ms: number; found: number }> {
  const ask = (pageToken: string | undefined) =>
    searchRuns(db, {
      experiments: [1],
      visibility: () => ALWAYS,
      comparisons: parseFilter(filter, runGrammar),
      orderBy: parseRunOrderBy(orderBy),
      viewType: 'ACTIVE_ONLY',
      maxResults: PAGE,
      pageToken,
    })
  let token: string | undefined
  for (let passed = 1; passed < page; passed++) token = (await ask(token)).nextPageToken

  const { runs } = await ask(token)
  const times: number[] = []
  const end = performance.now() + 700
  while (times.length < 5 || performance.now() < end) {
    const start = process.cpuUsage()
    const startMs = performance.now()
    for (let repeat = 0; repeat < REPEATS; repeat++) await ask(token)
    const { user, system } = process.cpuUsage(start)
    const ms = store === 'sqlite' ? (user + system) / 1000 : performance.now() - startMs
    times.push(ms / REPEATS)
  }
  times.sort((a, b) => a - b)
  return { ms: times[Math.floor(times.length / 2)] ?? 0, found: runs.length }
}

/** Deterministic, so that two measurements see the same rows. */
async function fill(db: Db, size: number): Promise<void> {
  let state = 1
  const random = () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
  const experiment = 1
  await insertRows('experiment', {
    columns: [
      'id',
      'workspace',
      'name',
      'artifact_location',
      'stage',
      'creation_time',
      'last_update_time',
    ],
  })(db, [
    {
      id: experiment,
      workspace: 'default',
      name: 'e',
      artifact_location: '',
      stage: 0,
      creation_time: 0,
      last_update_time: 0,
    },
  ])
  const names = (prefix: string, count: number, from: number) =>
    Array.from({ length: count }, (_, i) => ({ id: from + i + 1, name: `${prefix}${i + 1}` }))
  await insertRows('key_name', { columns: ['id', 'name'] })(db, [
    ...names('m', METRICS, 0),
    ...names('p', PARAMS, 100),
    ...names('t', TAGS, 200),
    { id: 300, name: 'rare' },
  ])
  const metricOf = (run: number, key: number, value: number) => {
    const first = { first: 0, first_is_nan: 0, first_step: 0, first_ts: 0 }
    return { run, key, experiment, n: 1, step: 0, ts: 0, value, is_nan: 0, ...first }
  }
  for (let from = 1; from <= size; from += RUNS_PER_INSERT) {
    const ids = Array.from(
      { length: Math.min(RUNS_PER_INSERT, size + 1 - from) },
      (_, i) => from + i,
    )
    const runs = ids.map((id) => {
      const start_time = 1.7e12 + id * 60_000 + Math.floor(random() * 600_000)
      return {
        id,
        experiment,
        uuid: Math.floor(random() * 2 ** 52)
          .toString(16)
          .padStart(32, '0'),
        name: `run-${id}`,
        user_id: 'ann',
        status: 3,
        start_time,
        end_time: start_time + 1000,
        artifact_uri: 's3://bucket',
        stage: 0,
      }
    })
    await insertRuns(db, runs)
    const metrics = ids.flatMap((id) => [
      ...Array.from({ length: METRICS }, (_, i) =>
        metricOf(id, i + 1, i + 1 === 9 ? Math.floor(random() * 10) : random()),
      ),
      ...(id % 100 === 0 ? [metricOf(id, 300, random())] : []),
    ])
    await insertMetrics(db, metrics)
    const params = ids.flatMap((run) =>
      Array.from({ length: PARAMS }, (_, i) => {
        const wide = i === 2 ? `z${Math.floor(random() * 2)}` : `y${Math.floor(random() * 1000)}`
        return { run, key: 101 + i, experiment, value: i === 0 ? `x${run % 10}` : wide }
      }),
    )
    await insertParams(db, params)
    const tags = ids.flatMap((run) =>
      Array.from({ length: TAGS }, (_, i) => {
        const value = Math.floor(random() * 100)
        return {
          run,
          key: 201 + i,
          experiment,
          value: i === 1 ? (ANSWERS[value % 2] ?? '') : `t${value}`,
        }
      }),
    )
    await insertTags(db, tags)
  }
}
