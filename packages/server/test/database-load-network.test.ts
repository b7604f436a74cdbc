import { createClient } from '@millrace/client/client'
import { retryingFetch } from '@millrace/client/retrying-fetch'
import { expect, test } from 'vitest'
import { FAULTS, startFaultyProxy } from './faulty-proxy.ts'
import { runNetworkCampaign } from './network-campaign.ts'
import { seededRandom } from './seeded-random.ts'
import { testDatabase } from './shared-database.ts'
import { startServer } from './start-server.ts'
import { hasStockClient } from './stock-clients.ts'

const database = testDatabase === 'sqlite' ? undefined : testDatabase

test.runIf(hasStockClient || process.env['CI'])(
  "through a network that loses, cuts and repeats, MLflow's client loses and doubles nothing",
  { timeout: 240_000 },
  async () => {
    const figures = await runNetworkCampaign({
      database,
      seed: 5,
      threads: 4,
      seconds: 4,
      share: 0.15,
      wireShare: 0.003,
    })

    expect(figures.differences).toEqual([])
    expect(figures.acknowledged).toBeGreaterThan(20)
    // A body that ends too early is what the client does not send again.
    const raised = Object.keys(figures.raised).filter((text) => !/IncompleteRead/.test(text))
    expect(raised).toEqual([])
  },
)

test('so does ours, which goes on where an answer was cut', { timeout: 360_000 }, async () => {
  await using server = await startServer()
  await server.http.listen({ host: '127.0.0.1', port: 0 })
  const address = server.http.server.address()
  const targetPort = typeof address === 'object' && address !== null ? address.port : 0
  const random = seededRandom(3)
  await using proxy = await startFaultyProxy({ targetPort, random, share: 0.4, tooLateMs: 600 })
  const fetch = retryingFetch({ retriesMax: 30, pauseMs: 5, pauseMaxMs: 50, timeoutMs: 400 })
  const client = createClient({ baseUrl: proxy.url, fetch })

  const run_ids = await Promise.all(
    Array.from({ length: 20 }, async (_, number) => {
      const start_time = Date.now()
      const { run } = await client.runs.create({
        experiment_id: '0',
        run_name: `r${number}`,
        start_time,
      })
      const { run_id } = run.info
      for (let step = 0; step < 5; step++) {
        await client.runs.logMetric({ run_id, key: 'm', value: step, timestamp: step, step })
      }
      return run_id
    }),
  )

  const { runs = [] } = await server.client.runs.search({ experiment_ids: ['0'], max_results: 100 })
  expect(runs.map(({ info }) => info.run_id).sort()).toEqual(run_ids.sort())
  for (const run_id of run_ids) {
    const { metrics = [] } = await server.client.metrics.getHistory({ run_id, metric_key: 'm' })
    expect(metrics.map(({ value }) => value)).toEqual([0, 1, 2, 3, 4])
  }
  expect(FAULTS.filter((fault) => proxy.counts[fault] === 0)).toEqual([])
})
