import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import type { Db } from '../packages/server/src/db/dialect.ts'
import { migrate } from '../packages/server/src/db/migrate.ts'
import type { Schema } from '../packages/server/src/db/schema.ts'
import { openSqliteFile, sqliteDialect } from '../packages/server/src/db/sqlite-dialect.ts'
import { parseFilter } from '../packages/server/src/search/filter.ts'
import { runGrammar } from '../packages/server/src/search/grammar-runs.ts'
import { parseRunOrderBy } from '../packages/server/src/search/order-by.ts'
import { searchRuns } from '../packages/server/src/search/search-runs-query.ts'
import { ALWAYS } from '../packages/server/src/search/test-conditions.ts'

/**
 * How long a page of 100 runs takes on SQLite, by what is asked and by the size of the experiment:
 * `node bench/search.ts [runs...]`. Every figure is the median of repeated requests in milliseconds
 * of processor time, which is what they take when nothing else runs.
 */

const METRICS = 10
const PARAMS = 8
const TAGS = 6
const PAGE = 100
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
  { what: 'by end time (no index)', orderBy: ['end_time'] },
]

const sizes = process.argv.slice(2).map(Number)
for (const size of sizes.length > 0 ? sizes : [1500, 10_000, 75_000]) await measure(size)

async function measure(size: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    const file = openSqliteFile(join(folder, 'search.db'), {
      synchronous: 'normal',
      queryOnly: false,
    })
    await using db = new Kysely<Schema>({ dialect: sqliteDialect(file) })
    await migrate(db)
    fill(file, size)
    console.log(`\n${size} runs, ${METRICS} metrics, ${PARAMS} params, ${TAGS} tags each: ms`)
    for (const question of QUESTIONS) {
      const { ms, found } = await time(db, question)
      console.log(`${ms.toFixed(2).padStart(9)}  ${question.what} (${found})`)
    }
  } finally {
    rmSync(folder, { recursive: true })
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
    for (let repeat = 0; repeat < REPEATS; repeat++) await ask(token)
    const { user, system } = process.cpuUsage(start)
    times.push((user + system) / 1000 / REPEATS)
  }
  times.sort((a, b) => a - b)
  return { ms: times[Math.floor(times.length / 2)] ?? 0, found: runs.length }
}

/** Deterministic, so that two measurements see the same rows. */
function fill(file: DatabaseSync, size: number): void {
  let state = 1
  const random = () => {
    state = (state * 48_271) % 2_147_483_647
    return state / 2_147_483_647
  }
  const run = file.prepare(`insert into run
    (id, experiment, uuid, name, user_id, status, start_time, end_time, artifact_uri, stage)
    values (?, 1, ?, ?, 'ann', 3, ?, ?, 's3://bucket', 0)`)
  const metric = file.prepare(`insert into metric_latest
    (run, key, experiment, n, step, ts, value, is_nan, first, first_is_nan, first_step, first_ts)
    values (?, ?, 1, 1, 0, 0, ?, 0, 0, 0, 0, 0)`)
  const param = file.prepare('insert into param (run, key, experiment, value) values (?, ?, 1, ?)')
  const tag = file.prepare('insert into tag (run, key, experiment, value) values (?, ?, 1, ?)')

  file.exec('begin')
  file.exec(`insert into experiment (id, workspace, name, artifact_location, creation_time,
    last_update_time) values (1, 'default', 'e', '', 0, 0)`)
  const keys = file.prepare('insert into key_name (id, name) values (?, ?)')
  for (let key = 1; key <= METRICS; key++) keys.run(key, `m${key}`)
  for (let key = 1; key <= PARAMS; key++) keys.run(100 + key, `p${key}`)
  for (let key = 1; key <= TAGS; key++) keys.run(200 + key, `t${key}`)
  keys.run(300, 'rare')
  for (let id = 1; id <= size; id++) {
    const uuid = Math.floor(random() * 2 ** 52)
      .toString(16)
      .padStart(32, '0')
    const start = 1.7e12 + id * 60_000 + Math.floor(random() * 600_000)
    run.run(id, uuid, `run-${id}`, start, start + 1000)
    for (let key = 1; key <= METRICS; key++) {
      metric.run(id, key, key === 9 ? Math.floor(random() * 10) : random())
    }
    if (id % 100 === 0) metric.run(id, 300, random())
    for (let key = 1; key <= PARAMS; key++) {
      const wide = key === 3 ? `z${Math.floor(random() * 2)}` : `y${Math.floor(random() * 1000)}`
      param.run(id, 100 + key, key === 1 ? `x${id % 10}` : wide)
    }
    for (let key = 1; key <= TAGS; key++) {
      const value = Math.floor(random() * 100)
      tag.run(id, 200 + key, key === 2 ? (ANSWERS[value % 2] ?? '') : `t${value}`)
    }
  }
  file.exec('commit')
}
