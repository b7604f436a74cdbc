import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'
import type { Db } from '../db/dialect.ts'
import { PointsBuilder } from '../metrics/points.ts'
import { insertChunk } from './metric-sealing.ts'

const POINTS_PER_CHUNK = 1024

let server: TestServer
let experiment_id: string
beforeAll(async () => {
  server = await startServer()
  experiment_id = (await server.client.experiments.create({ name: 'long' })).experiment_id
})
afterAll(() => server.close())

/** Seals points `from` to `to` of a metric behind the server's back, as background work would. */
async function seal(db: Db, run_id: string, from: number, to: number): Promise<void> {
  const { id: run, experiment } = await db
    .selectFrom('run')
    .select(['id', 'experiment'])
    .where('uuid', '=', run_id)
    .executeTakeFirstOrThrow()
  const { id: key } = await db
    .selectFrom('key_name')
    .select('id')
    .where('name', '=', 'm')
    .executeTakeFirstOrThrow()
  for (let first = from; first < to; first += POINTS_PER_CHUNK) {
    const builder = new PointsBuilder()
    for (let i = first; i < Math.min(to, first + POINTS_PER_CHUNK); i++)
      builder.add(key, i, 1000 + i, i)
    await insertChunk(db, { run, experiment, level: 2 }, builder.points())
  }
}

async function createLongRun(points: number): Promise<string> {
  const { run_id } = (await server.client.runs.create({ experiment_id })).run.info
  await server.client.runs.logMetric({ run_id, key: 'm', value: 0, timestamp: 1000, step: 0 })
  await server.change((db) => seal(db, run_id, 1, points))
  return run_id
}

async function listPages(run_id: string, max_results: number): Promise<number[]> {
  const steps: number[] = []
  let page_token: string | undefined
  do {
    const page = { run_id, metric_key: 'm', max_results, ...(page_token && { page_token }) }
    const answer = await server.client.metrics.getHistory(page)
    steps.push(...(answer.metrics ?? []).map(({ step }) => Number(step)))
    page_token = answer.next_page_token
  } while (page_token)
  return steps
}

function numbers(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i)
}

test('a long history comes whole in pages, and so does what is logged or sealed meanwhile', async () => {
  const run_id = await createLongRun(10_000)
  expect(await listPages(run_id, 3000)).toEqual(numbers(10_000))

  await server.client.runs.logMetric({
    run_id,
    key: 'm',
    value: 1,
    timestamp: 50_000,
    step: 11_000,
  })
  expect(await listPages(run_id, 4000)).toEqual([...numbers(10_000), 11_000])

  await server.change((db) => seal(db, run_id, 10_000, 11_000))
  expect(await listPages(run_id, 4000)).toEqual(numbers(11_001))
})

test('a page of a history that was read before looks at no sealed point again', async () => {
  const run_id = await createLongRun(6000)
  await listPages(run_id, 6000)
  // What is decoded again now would be refused.
  await server.change(async (db) => {
    const run = db.selectFrom('run').select('id').where('uuid', '=', run_id)
    await db
      .updateTable('metric_chunk')
      .set({ data: new Uint8Array([3, 0, 0, 0, 0]) })
      .where('run', '=', run)
      .execute()
  })

  expect(await listPages(run_id, 1000)).toEqual(numbers(6000))
  const sample = await server.client.metrics.getHistoryBulkInterval({
    run_ids: [run_id],
    metric_key: 'm',
    max_results: 3,
  })
  expect(sample.metrics?.map(({ step }) => step)).toEqual([0, 2000, 5999])
})

test('the history of a run is not that of another which has its number', async () => {
  const run_id = await createLongRun(5000)
  await listPages(run_id, 5000)

  await server.change((db) =>
    db
      .updateTable('run')
      .set({ uuid: 'f'.repeat(32) })
      .where('uuid', '=', run_id)
      .execute(),
  )
  await server.change(async (db) => {
    const run = db.selectFrom('run').select('id').where('uuid', '=', 'f'.repeat(32))
    const data = await db
      .selectFrom('metric_chunk')
      .select('data')
      .where('run', '=', run)
      .limit(1)
      .executeTakeFirstOrThrow()
    await db.updateTable('metric_chunk').set(data).where('run', '=', run).execute()
  })

  expect(await listPages('f'.repeat(32), 5000)).toEqual(numbers(1025))
})
