import { existsSync, readFileSync } from 'node:fs'
import { COPIED_FROM_TAG } from '@millrace/api/run-moves'
import { describe, expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'
import { artifactFile, countAllRows, endRun, fillRun } from '../../test/stored-things.ts'
import { kindOf } from '../db/dialect.ts'
import { collectGarbage } from './collect-garbage.ts'
import { COPIED_COLUMNS, settleMoves } from './run-move-store.ts'

async function twoExperiments({ client }: TestServer) {
  const ids: string[] = []
  for (const name of ['from', 'to']) {
    ids.push((await client.experiments.create({ name })).experiment_id)
  }
  return { from: ids[0] ?? '', to: ids[1] ?? '' }
}

/** What searches in an experiment find by everything that rows carry their experiment for. */
async function found({ client }: TestServer, experiment_id: string) {
  const filters = [
    'metrics.loss < 0.4',
    "params.lr = '0.1'",
    "tags.team = 'moved'",
    "datasets.name = 'iris'",
    "datasets.context = 'training'",
  ]
  const names: (string | undefined)[] = []
  for (const filter of filters) {
    const { runs = [] } = await client.runs.search({ experiment_ids: [experiment_id], filter })
    names.push(runs[0]?.info.run_name)
  }
  const { models = [] } = await client.loggedModels.search({
    experiment_ids: [experiment_id],
    filter: "params.depth = '3' AND tags.stage = 'try'",
  })
  const { dataset_summaries = [] } = await client.experiments.searchDatasets({
    experiment_ids: [experiment_id],
  })
  return [...names, models[0]?.info.name, dataset_summaries[0]?.name]
}

describe('move', () => {
  test('everything of a run is found in its new experiment, and nothing in the old one', async () => {
    await using server = await startServer()
    const { client, db } = server
    const { from, to } = await twoExperiments(server)
    const moved = await fillRun(server, from, 'moved')
    await endRun(client, moved.run_id, 9)
    const kept = await fillRun(server, from, 'kept')
    const before = await client.runs.get({ run_id: moved.run_id })
    const everything = [...Array(5).fill('moved'), 'model-of-moved', 'iris']

    const { run_infos } = await client.runMoves.move({ run_ids: [moved.run_id], experiment_id: to })

    expect(run_infos).toMatchObject([{ run_id: moved.run_id, experiment_id: to }])
    expect(await found(server, to)).toEqual(everything)
    expect((await found(server, from)).filter((name) => name?.includes('moved'))).toEqual([])
    const after = await client.runs.get({ run_id: moved.run_id })
    expect(after.run).toEqual({ ...before.run, info: { ...before.run.info, experiment_id: to } })
    const history = await client.metrics.getHistory({ run_id: moved.run_id, metric_key: 'loss' })
    expect(history.metrics).toHaveLength(3)
    expect(
      (await client.runs.get({ run_id: kept.run_id })).run.inputs?.dataset_inputs,
    ).toHaveLength(1)
    for (const table of Object.keys(COPIED_COLUMNS)) {
      const run = await db.selectFrom('run').selectAll().where('uuid', '=', moved.run_id).execute()
      const strays = await db
        .selectFrom(table as 'param')
        .select('run')
        .where('run', '=', run[0]?.id ?? -1)
        .where('experiment', '!=', Number(to))
        .execute()
      expect(strays, table).toEqual([])
    }
  })

  test('a move that is refused moves none of the runs', async () => {
    await using server = await startServer()
    const { client } = server
    const { from, to } = await twoExperiments(server)
    const { run_id } = await fillRun(server, from, 'stays')
    const deleted = await fillRun(server, from, 'deleted')
    await client.runs.delete({ run_id: deleted.run_id })

    for (const [run_ids, experiment_id, message] of [
      [[run_id, deleted.run_id], to, "must be in the 'active' state"],
      [[run_id, 'nobody'], to, 'Run with id=nobody not found'],
      [[run_id], '4711', 'No Experiment with id=4711 exists'],
    ] as const) {
      const move = client.runMoves.move({ run_ids: [...run_ids], experiment_id })
      await expect(move).rejects.toThrow(message)
    }

    expect((await client.runs.get({ run_id })).run.info.experiment_id).toBe(from)
  })

  test('points that another replica wrote during the move are found after it settled', async () => {
    await using server = await startServer()
    const { client, db } = server
    if (kindOf(db) === 'sqlite') return
    const { from, to } = await twoExperiments(server)
    const { run_id } = await fillRun(server, from, 'racing')
    await client.runMoves.move({ run_ids: [run_id], experiment_id: to })
    const [run] = await db.selectFrom('run').selectAll().where('uuid', '=', run_id).execute()
    const stray = { run: run?.id ?? -1, experiment: Number(from), key: 1, value: 'late' }
    await server.change((db) =>
      db
        .insertInto('param')
        .values({ ...stray, key: 4711 })
        .execute(),
    )

    await server.change((db) => settleMoves(db, Date.now() + 60_000))

    const rows = await db
      .selectFrom('param')
      .select(['key', 'experiment'])
      .where('run', '=', stray.run)
      .where('experiment', '=', Number(from))
      .execute()
    expect(rows).toEqual([])
    expect((await countAllRows(db))['store']).toBe(0)
  })

  test('a run outlives the purge of the experiment that it was moved from, with its files', async () => {
    await using server = await startServer()
    const { client, config } = server
    const { from, to } = await twoExperiments(server)
    const { run_id, artifact_uri, model_uri } = await fillRun(server, from, 'moved')
    await client.runMoves.move({ run_ids: [run_id], experiment_id: to })
    await client.experiments.delete({ experiment_id: from })
    const { database, settings } = config

    await collectGarbage({ database, settings, query: {}, isTrial: false, print: () => {} })

    await expect(client.experiments.get({ experiment_id: from })).rejects.toThrow('exists')
    expect((await client.runs.get({ run_id })).run.inputs?.dataset_inputs).toHaveLength(1)
    for (const [uri, path] of [
      [artifact_uri, 'plots/loss.txt'],
      [model_uri, 'MLmodel'],
    ] as const) {
      expect(existsSync(artifactFile(server, uri, path))).toBe(true)
    }
  })
})

describe('copy', () => {
  test('a copy has all that the run has, under an id of its own, and shares nothing with it', async () => {
    await using server = await startServer()
    const { client } = server
    const { from, to } = await twoExperiments(server)
    const source = await fillRun(server, from, 'moved')
    await endRun(client, source.run_id, 9)
    const before = await client.runs.get({ run_id: source.run_id })

    const { run_info } = await client.runMoves.copy({ run_id: source.run_id, experiment_id: to })
    const { run_id } = run_info
    const done = await client.runMoves.copyArtifacts({ run_id })
    const again = await client.runMoves.copyArtifacts({ run_id })

    const copy = await client.runs.get({ run_id })
    const { info, data, inputs, outputs } = before.run
    const tags = [...(data.tags ?? []), { key: COPIED_FROM_TAG, value: source.run_id }]
    const { artifact_uri } = copy.run.info
    const own = { run_id, run_uuid: run_id, experiment_id: to, artifact_uri }
    expect(copy.run.info).toEqual({ ...info, ...own })
    expect(new Set(copy.run.data.tags)).toEqual(new Set(tags))
    expect([copy.run.data.metrics, copy.run.data.params]).toEqual([data.metrics, data.params])
    expect([copy.run.inputs, copy.run.outputs]).toEqual([inputs, outputs])
    const history = await client.metrics.getHistory({ run_id, metric_key: 'loss' })
    expect(history.metrics?.map(({ value }) => value)).toEqual([1, 0.5, 1 / 3])
    expect((await found(server, to)).slice(0, 5)).toEqual(Array(5).fill('moved'))
    expect(done).toEqual({ files: 1, bytes: 'loss of moved'.length, copied: 1 })
    expect(again).toEqual({ files: 1, bytes: 0, copied: 0 })

    await client.runs.delete({ run_id: source.run_id })
    const { database, settings } = server.config
    await collectGarbage({ database, settings, query: {}, isTrial: false, print: () => {} })
    expect(readFileSync(artifactFile(server, artifact_uri, 'plots/loss.txt'), 'utf8')).toBe(
      'loss of moved',
    )
    expect((await client.runs.get({ run_id })).run.data.params).toHaveLength(1)
  })

  test('the columns of every table of a run are copied', async () => {
    await using server = await startServer()
    const { from } = await twoExperiments(server)
    const { run_id } = await fillRun(server, from, 'full')
    const { run_info } = await server.client.runMoves.copy({ run_id, experiment_id: from })

    const { db } = server
    const ids = await db
      .selectFrom('run')
      .select(['id', 'uuid'])
      .where('uuid', 'in', [run_id, run_info.run_id])
      .execute()
    const idOf = (uuid: string) => ids.find((row) => row.uuid === uuid)?.id ?? -1
    for (const [table, columns] of Object.entries(COPIED_COLUMNS)) {
      const rows = await db
        .selectFrom(table as 'param')
        .selectAll()
        .where('run', '=', idOf(run_id))
        .execute()
      for (const row of rows) {
        const { run: _run, experiment: _experiment, ...rest } = row
        const others = Object.keys(rest).filter((column) => column !== 'id')
        expect(others.sort(), table).toEqual([...columns].sort())
      }
    }
  })

  test('what is no copy has no files to be copied', async () => {
    await using server = await startServer()
    const { run_id } = await fillRun(server, '0', 'original')

    await expect(server.client.runMoves.copyArtifacts({ run_id })).rejects.toThrow(
      `Run ${run_id} is not a copy of another run.`,
    )
  })
})
