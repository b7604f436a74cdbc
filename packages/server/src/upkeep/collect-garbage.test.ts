import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'
import {
  artifactFile,
  countAllRows,
  endRun,
  fillRun,
  writeArtifact,
} from '../../test/stored-things.ts'
import { collectGarbage, purge } from './collect-garbage.ts'
import { parseDuration } from './duration.ts'
import { withDatabase } from './open-database.ts'
import { purgeRun } from './purge-store.ts'
import { type GarbageQuery, selectGarbage } from './select-garbage.ts'

/** Runs gc on a server's data, beside the server, and returns the lines it prints. */
async function gc(
  { config }: TestServer,
  query: GarbageQuery = {},
  { isTrial = false } = {},
): Promise<string[]> {
  const { database, settings } = config
  const lines: string[] = []
  await collectGarbage({ database, settings, query, isTrial, print: (line) => lines.push(line) })
  return lines
}

const DAY_MS = 86_400_000

/** Makes a run one that has been in the bin for so many days. */
async function age(server: TestServer, run_id: string, days: number) {
  const deleted_time = Date.now() - days * DAY_MS
  await server.change((db) =>
    db.updateTable('run').set({ deleted_time }).where('uuid', '=', run_id).execute(),
  )
}

test('a deleted run goes with every row and file, and nothing else does', async () => {
  await using server = await startServer()
  const { client, db } = server
  const before = await countAllRows(db)
  const kept = await fillRun(server, '0', 'kept')
  const withOne = await countAllRows(db)
  const gone = await fillRun(server, '0', 'gone')
  await endRun(client, gone.run_id, 5)
  await client.runs.delete({ run_id: gone.run_id })

  expect(await gc(server)).toEqual([`Run with ID ${gone.run_id} has been permanently deleted.`])

  const after = await countAllRows(db)
  const models = ['logged_model', 'logged_model_param', 'logged_model_tag']
  for (const table of models) after[table] = (after[table] ?? 0) - 1
  // The run that stays may have been summed up meanwhile.
  const { key_name, metric_latest } = after
  expect(after).toEqual({ ...withOne, key_name, metric_latest })
  const ownerless = db
    .selectFrom('metric_latest')
    .select('run')
    .where('run', 'not in', db.selectFrom('run').select('id'))
  expect(await ownerless.execute()).toEqual([])
  expect(withOne).not.toEqual(before)
  expect(existsSync(artifactFile(server, gone.artifact_uri, '..'))).toBe(false)
  expect(existsSync(artifactFile(server, kept.artifact_uri, 'plots/loss.txt'))).toBe(true)
  expect(existsSync(artifactFile(server, gone.model_uri, 'MLmodel'))).toBe(true)
  await expect(client.runs.get({ run_id: gone.run_id })).rejects.toMatchObject({
    code: 'RESOURCE_DOES_NOT_EXIST',
  })
  expect((await client.runs.get({ run_id: kept.run_id })).run.data.params).toHaveLength(1)
})

test('something named that may not be purged refuses everything, in the words of mlflow gc', async () => {
  await using server = await startServer()
  const { client } = server
  const active = await fillRun(server, '0', 'active')
  const deleted = await fillRun(server, '0', 'deleted')
  await client.runs.delete({ run_id: deleted.run_id })
  const { experiment_id } = await client.experiments.create({ name: 'alive' })

  const refusals: [GarbageQuery, string][] = [
    [
      { run_ids: [deleted.run_id, active.run_id] },
      `Run ${active.run_id} is not in \`deleted\` lifecycle stage. Only runs in \`deleted\` lifecycle stage can be deleted.`,
    ],
    [{ run_ids: ['nobody'] }, 'Run with id=nobody not found'],
    [
      { run_ids: [deleted.run_id], olderThan: { text: '1d', ms: DAY_MS } },
      `Run ${deleted.run_id} is not older than the required age. Only runs older than 1d can be deleted.`,
    ],
    [
      { experiment_ids: ['0', experiment_id] },
      `Experiments ['0', '${experiment_id}'] are not in the deleted lifecycle stage. Only experiments in the deleted lifecycle stage can be hard-deleted.`,
    ],
    [{ experiment_ids: ['4711'] }, 'No Experiment with id=4711 exists'],
    [
      { model_ids: [active.model_id] },
      `Logged model ${active.model_id} is not in \`deleted\` lifecycle stage. Only logged models in \`deleted\` lifecycle stage can be deleted.`,
    ],
    [{ model_ids: ['m-no'] }, "Logged model with ID 'm-no' not found."],
  ]
  for (const [query, message] of refusals) await expect(gc(server, query)).rejects.toThrow(message)

  expect((await client.runs.get({ run_id: deleted.run_id })).run.info.lifecycle_stage).toBe(
    'deleted',
  )
})

test('only what has been in the bin for long enough goes', async () => {
  await using server = await startServer()
  const { client } = server
  const old = await fillRun(server, '0', 'old')
  const young = await fillRun(server, '0', 'young')
  for (const { run_id } of [old, young]) await client.runs.delete({ run_id })
  await age(server, old.run_id, 31)
  await age(server, young.run_id, 29)

  const lines = await gc(server, { olderThan: { text: '30d', ms: parseDuration('30d') } })

  expect(lines).toEqual([`Run with ID ${old.run_id} has been permanently deleted.`])
})

test('a deleted experiment goes with its runs and logged models, and its name is free', async () => {
  await using server = await startServer()
  const { client, db } = server
  const { experiment_id } = await client.experiments.create({
    name: 'again',
    tags: [{ key: 'a', value: 'b' }],
  })
  const { run_id, model_id, model_uri } = await fillRun(server, experiment_id, 'one')
  await client.experiments.delete({ experiment_id })
  await expect(client.experiments.create({ name: 'again' })).rejects.toMatchObject({
    code: 'RESOURCE_ALREADY_EXISTS',
  })

  expect(await gc(server)).toEqual([
    `Run with ID ${run_id} has been permanently deleted.`,
    `Logged model with ID ${model_id} has been permanently deleted.`,
    `Experiment with ID ${experiment_id} has been permanently deleted.`,
  ])

  expect(existsSync(artifactFile(server, model_uri, '..'))).toBe(false)
  const rows = await countAllRows(db)
  expect(rows).toMatchObject({ experiment: 1, experiment_tag: 0, run: 0, dataset: 0, store: 0 })
  const { experiment_id: fresh } = await client.experiments.create({ name: 'again' })
  expect(Number(fresh)).toBeGreaterThan(Number(experiment_id))
})

test('an experiment in which a run was taken out of the bin stays, with that run', async () => {
  await using server = await startServer()
  const { client } = server
  const { experiment_id } = await client.experiments.create({ name: 'half' })
  const restored = await fillRun(server, experiment_id, 'restored')
  const other = await fillRun(server, experiment_id, 'other')
  await client.experiments.delete({ experiment_id })
  await client.runs.restore({ run_id: restored.run_id })

  const lines = await gc(server)

  expect(lines).toEqual([
    `Experiment ${experiment_id} holds 1 active run(s), so it stays.`,
    `Run with ID ${other.run_id} has been permanently deleted.`,
  ])
  expect((await client.runs.get({ run_id: restored.run_id })).run.data.metrics).toHaveLength(1)
})

test('a run that is restored after it was selected stays, with its files', async () => {
  await using server = await startServer()
  const { client, config } = server
  const { run_id, artifact_uri } = await fillRun(server, '0', 'saved')
  await client.runs.delete({ run_id })
  const { database, settings } = config
  const lines: string[] = []

  await withDatabase(database, 'write', async (db) => {
    const garbage = await selectGarbage(db, {})
    await client.runs.restore({ run_id })
    await purge(db, garbage, { settings, isTrial: false, print: (line) => lines.push(line) })
  })

  expect(lines).toEqual([`Run ${run_id} was taken out of the bin meanwhile, so it stays.`])
  expect((await client.runs.get({ run_id })).run.data.params).toHaveLength(1)
  expect(existsSync(artifactFile(server, artifact_uri, 'plots/loss.txt'))).toBe(true)
})

test('files that a purge did not get to before it was killed are deleted by the next one', async () => {
  await using server = await startServer()
  const { client, config, db } = server
  const { run_id, artifact_uri } = await fillRun(server, '0', 'half')
  await client.runs.delete({ run_id })
  await withDatabase(config.database, 'write', async (db) => {
    const [run] = (await selectGarbage(db, {})).runs
    if (run !== undefined) await purgeRun(db, run)
  })
  expect(existsSync(artifactFile(server, artifact_uri, 'plots/loss.txt'))).toBe(true)
  expect((await gc(server, {}, { isTrial: true })).at(-1)).toBe(
    '1 purge(s) that were cut short would be finished.',
  )

  await gc(server)

  expect(existsSync(artifactFile(server, artifact_uri))).toBe(false)
  expect((await countAllRows(db))['store']).toBe(0)
})

test('a dry run counts rows and bytes and changes nothing', async () => {
  await using server = await startServer()
  const { client, db } = server
  const { run_id, artifact_uri } = await fillRun(server, '0', 'weighed')
  await writeArtifact(server, artifact_uri, 'deep/er/blob', 'x'.repeat(1000))
  await client.runs.delete({ run_id })
  const before = await countAllRows(db)

  const [things, rows, artifacts] = await gc(server, {}, { isTrial: true })

  expect(things).toBe('Would purge 1 run(s), 0 logged model(s), 0 experiment(s).')
  expect(rows).toMatch(/^Database: \d+ row\(s\), [1-9]\d* byte\(s\) of metrics \(.*param 1, tag 2,/)
  expect(artifacts).toBe(`Artifacts: 2 file(s), ${1000 + 'loss of weighed'.length} byte(s).`)
  expect(await countAllRows(db)).toEqual(before)
  expect(existsSync(artifactFile(server, artifact_uri, 'plots/loss.txt'))).toBe(true)
})

test('a model version that loses its files is named, as upstream lets it happen', async () => {
  await using server = await startServer()
  const { client } = server
  const { run_id } = await fillRun(server, '0', 'registered')
  await client.registeredModels.create({ name: 'churn' })
  await client.modelVersions.create({ name: 'churn', source: `runs:/${run_id}/model`, run_id })
  await client.runs.delete({ run_id })

  expect(await gc(server)).toEqual([
    `Version 1 of model 'churn' loses its files: those of run ${run_id} go.`,
    `Run with ID ${run_id} has been permanently deleted.`,
  ])
})

test('files where this program may not delete are left and named', async () => {
  await using server = await startServer()
  const { client, db } = server
  const { experiment_id } = await client.experiments.create({
    name: 'elsewhere',
    artifact_location: '/srv/elsewhere',
  })
  const { run } = await client.runs.create({ experiment_id })
  await client.runs.delete({ run_id: run.info.run_id })

  const [line] = await gc(server)

  expect(line).toContain(`The files of run ${run.info.run_id} stay at /srv/elsewhere/`)
  expect((await countAllRows(db))['store']).toBe(0)
})
