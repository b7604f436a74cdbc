import { createClient } from '@millrace/client/client'
import { expect, test } from 'vitest'
import { startServer } from './start-server.ts'

const READS = 1000

/** Sockets, because injected requests never meet the writer's thread half way. */
test('a run is read with all of a batch or with nothing of it', { timeout: 360_000 }, async () => {
  await using server = await startServer()
  const url = await server.http.listen({ host: '127.0.0.1', port: 0 })
  const client = createClient({ baseUrl: url })
  const { experiment_id } = await client.experiments.create({ name: 'whole' })
  const { run_id } = (await client.runs.create({ experiment_id })).run.info
  let isOver = false
  const writing = (async () => {
    for (let value = 1; !isOver; value++) {
      const metrics = [{ key: 'batch', value, timestamp: 1, step: value }]
      await client.runs.logBatch({
        run_id,
        metrics,
        tags: [{ key: 'batch', value: String(value) }],
      })
    }
  })()

  const torn: string[] = []
  for (let i = 0; i < READS; i++) {
    const { metrics = [], tags = [] } = (await client.runs.get({ run_id })).run.data
    const [metric] = metrics
    const tag = tags.find(({ key }) => key === 'batch')
    if (String(metric?.value) !== String(tag?.value))
      torn.push(`${metric?.value} with ${tag?.value}`)
  }
  isOver = true
  await writing

  expect(torn).toEqual([])
})
