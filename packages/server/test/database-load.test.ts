import { describe, expect, test } from 'vitest'
import { createApp } from '../src/app.ts'
import type { DatabaseConfig } from '../src/config.ts'
import { parseServerUri } from '../src/db/server-address.ts'
import { createDatabase } from './database-servers.ts'
import { emptyServerDatabase, findBrokenInvariants, testDatabase } from './shared-database.ts'
import { startServer, type TestServer } from './start-server.ts'

async function startOn(change: (database: DatabaseConfig) => DatabaseConfig): Promise<TestServer> {
  return startServer((config) => ({ ...config, database: change(config.database) }))
}

async function createRun({ client }: TestServer): Promise<string> {
  const { run } = await client.runs.create({ experiment_id: '0' })
  return run.info.run_id
}

/** Logs the value `n` of one metric of a run; resolves to the status and the Retry-After header. */
async function logPoint({ http }: TestServer, run_id: string, n: number) {
  const { statusCode, headers } = await http.inject({
    method: 'POST',
    url: '/api/2.0/mlflow/runs/log-metric',
    headers: { host: 'localhost', 'content-type': 'application/json' },
    payload: JSON.stringify({ run_id, key: 'm', value: n, timestamp: n, step: n }),
  })
  return { statusCode, retryAfter: headers['retry-after'] }
}

async function countPoints({ client }: TestServer, run_id: string): Promise<number> {
  return (await client.metrics.getHistory({ run_id, metric_key: 'm' })).metrics?.length ?? 0
}

test('two thousand writers at once share ten connections', { timeout: 360_000 }, async () => {
  await using server = await startOn((database) =>
    database.kind === 'server' ? { ...database, connectionsMax: 10 } : database,
  )
  const runs = await Promise.all(Array.from({ length: 20 }, () => createRun(server)))

  const answers = await Promise.all(
    Array.from({ length: 2000 }, (_, n) => logPoint(server, runs[n % 20] ?? '', n)),
  )

  expect(answers.filter(({ statusCode }) => statusCode !== 200)).toEqual([])
  const counts = await Promise.all(runs.map((run_id) => countPoints(server, run_id)))
  expect(counts).toEqual(runs.map(() => 100))
})

test('sixty-four writers to one run lose no value and leave no wrong summary', async () => {
  await using server = await startServer()
  const run_id = await createRun(server)

  await Promise.all(
    Array.from({ length: 64 }, async (_, writer) => {
      for (let i = 0; i < 5; i++) {
        const step = writer * 5 + i
        await server.client.runs.logBatch({
          run_id,
          metrics: [{ key: 'm', value: step, timestamp: step, step }],
          params: [{ key: 'shared', value: 'same' }],
          tags: [{ key: `tag-${writer % 4}`, value: String(step) }],
        })
      }
    }),
  )

  const { data } = (await server.client.runs.get({ run_id })).run
  expect(data.metrics).toMatchObject([{ key: 'm', value: 319, step: 319 }])
  expect(await countPoints(server, run_id)).toBe(320)
  await server.http.close()
  expect(await findBrokenInvariants(server.config.database)).toEqual([])
})

test('of writers that log another value for a param, one is heard and the others are told', async () => {
  await using server = await startServer()
  const run_id = await createRun(server)

  const outcomes = await Promise.allSettled(
    Array.from({ length: 32 }, (_, i) =>
      server.client.runs.logParameter({ run_id, key: 'p', value: `v${i % 8}` }),
    ),
  )

  const [param] = (await server.client.runs.get({ run_id })).run.data.params ?? []
  for (const [i, outcome] of outcomes.entries()) {
    expect(outcome.status, `v${i % 8}`).toBe(
      `v${i % 8}` === param?.value ? 'fulfilled' : 'rejected',
    )
  }
})

test('what is too much is refused with a time to come back, and nothing of it stays', async () => {
  await using server = await startOn((database) => ({ ...database, pendingWritesMax: 50 }))
  const run_id = await createRun(server)

  const answers = await Promise.all(
    Array.from({ length: 400 }, (_, n) => logPoint(server, run_id, n)),
  )

  const refused = answers.filter(({ statusCode }) => statusCode === 503)
  expect(refused.length).toBeGreaterThan(0)
  for (const { retryAfter } of refused) expect(Number(retryAfter)).toBeGreaterThan(0)
  expect(await countPoints(server, run_id)).toBe(400 - refused.length)
  expect((await logPoint(server, run_id, 1000)).statusCode).toBe(200)
})

// SQLite has no replicas.
const onServers = testDatabase === 'sqlite' ? [] : [testDatabase]
describe.each(onServers)('a read replica on %s', () => {
  test('answers searches; while it is away the database does', async () => {
    const adminUri = process.env['MILLRACE_TEST_DATABASE_URI'] ?? ''
    const replica = parseServerUri(await createDatabase(adminUri))
    const copy = { ...(await emptyServerDatabase()), address: replica } as DatabaseConfig
    await using server = await startOn((database) =>
      database.kind === 'server' ? { ...database, replica } : database,
    )
    const run_id = await createRun(server)
    const search = async () => (await server.client.runs.search({ experiment_ids: ['0'] })).runs

    // A copy without tables is one that is not there.
    expect(await search()).toHaveLength(1)

    const app = await createApp({ ...server.config, database: copy })
    await app.close()
    expect((await search()) ?? []).toHaveLength(0)
    expect((await server.client.runs.get({ run_id })).run.info.run_id).toBe(run_id)
  })
})
