import { afterAll, beforeAll, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'
import { foldRuns } from './metric-maintenance.ts'
import { sealWhenDue } from './metric-sealing.ts'

let server: TestServer
beforeAll(async () => {
  server = await startServer()
})
afterAll(() => server.close())

/** Seals all that a run has logged, as background work does once a run has ended. */
async function seal(run_id: string): Promise<void> {
  await server.change(async (db) => {
    const run = await db
      .selectFrom('run')
      .select(['id', 'experiment'])
      .where('uuid', '=', run_id)
      .executeTakeFirstOrThrow()
    await foldRuns(db, [run.id])
    await sealWhenDue(db, run, true)
  })
}

test('a point is seen though its row has the id that another one had', async () => {
  const { run_id } = (await server.client.runs.create({ experiment_id: '0' })).run.info
  const log = (key: string, from: number, to: number) => {
    const metrics = Array.from({ length: to - from }, (_, i) => ({
      key,
      value: 1,
      timestamp: 1,
      step: from + i,
    }))
    return server.client.runs.logBatch({ run_id, metrics })
  }
  const countPoints = async () => {
    const { metrics } = await server.client.metrics.getHistoryBulkInterval({
      run_ids: [run_id],
      metric_key: 'm',
      max_results: 2500,
    })
    return metrics?.length
  }
  await log('m', 0, 400)
  await seal(run_id)

  await log('later', 0, 1)
  expect(await countPoints()).toBe(400)
  await seal(run_id)
  await log('m', 400, 401)

  expect(await countPoints()).toBe(401)
})
