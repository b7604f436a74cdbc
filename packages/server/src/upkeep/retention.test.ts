import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'
import { artifactFile, endRun, fillRun } from '../../test/stored-things.ts'
import { applyRetention } from './retention.ts'

async function retain({ config }: TestServer, { isTrial = false, olderThanMs = 30 * DAY_MS } = {}) {
  const { database, settings } = config
  const lines: string[] = []
  const print = (line: string) => lines.push(line)
  await applyRetention({ database, settings, isTrial, olderThanMs, print })
  return lines
}

const DAY_MS = 86_400_000

async function stageOf({ client }: TestServer, run_id: string) {
  return (await client.runs.get({ run_id })).run.info.lifecycle_stage
}

test('runs that ended before the retention go to the bin, and from there for good', async () => {
  await using server = await startServer()
  const { client } = server
  const { experiment_id } = await client.experiments.create({
    name: 'nightly',
    tags: [{ key: 'millrace.retention', value: '7d' }],
  })
  const old = await fillRun(server, experiment_id, 'old')
  const young = await fillRun(server, experiment_id, 'young')
  const running = await fillRun(server, experiment_id, 'running')
  const registered = await fillRun(server, experiment_id, 'registered')
  const elsewhere = await fillRun(server, '0', 'elsewhere')
  await client.registeredModels.create({ name: 'churn' })
  await client.modelVersions.create({
    name: 'churn',
    source: `runs:/${registered.run_id}/model`,
    run_id: registered.run_id,
  })
  for (const { run_id } of [old, registered, elsewhere]) {
    await endRun(client, run_id, Date.now() - 8 * DAY_MS)
  }
  await endRun(client, young.run_id, Date.now() - 6 * DAY_MS)

  const moved = `1 run(s) of experiment ${experiment_id}`
  expect((await retain(server, { isTrial: true }))[0]).toBe(`${moved} would go to the bin.`)
  expect(await stageOf(server, old.run_id)).toBe('active')
  expect(await retain(server)).toEqual([`${moved} went to the bin.`])
  expect(await stageOf(server, old.run_id)).toBe('deleted')
  for (const { run_id } of [young, running, registered, elsewhere]) {
    expect(await stageOf(server, run_id)).toBe('active')
  }

  expect(await retain(server)).toEqual([])
  expect(await retain(server, { olderThanMs: 0 })).toEqual([
    `Run with ID ${old.run_id} has been permanently deleted.`,
    `Logged model with ID ${old.model_id} has been permanently deleted.`,
  ])
  expect(existsSync(artifactFile(server, old.model_uri))).toBe(false)
  expect(existsSync(artifactFile(server, young.model_uri))).toBe(true)
})

test('a retention that is no age leaves its experiment alone and says so', async () => {
  await using server = await startServer()
  const { client } = server
  const { run_id } = await fillRun(server, '0', 'old')
  await endRun(client, run_id, 1)
  await client.experiments.setTag({ experiment_id: '0', key: 'millrace.retention', value: 'soon' })

  const [line] = await retain(server)

  expect(line).toContain('Experiment 0 is left alone: its tag millrace.retention: Could not parse')
  expect(await stageOf(server, run_id)).toBe('active')
})
