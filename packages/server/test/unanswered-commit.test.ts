import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { type CommitWire, startCommitWire } from './commit-wire.ts'
import { testDatabase } from './shared-database.ts'
import { startServer, type TestServer } from './start-server.ts'

/** The connection to the database breaks while a commit is under way: what is stored, and how often. */

vi.setConfig({ testTimeout: 60_000 })

let server: TestServer
let wire: CommitWire

test.each(testDatabase === 'sqlite' ? [testDatabase] : [])('%s has no wire to cut', (kind) => {
  expect(kind).toBe('sqlite')
})

const cases = testDatabase === 'sqlite' ? [] : (['commit', 'answer'] as const)

describe.each(cases)('where the %s is lost', (loses) => {
  beforeAll(async () => {
    // The wire must be there before the server that is configured with its port.
    let targetPort = 0
    const change = (config: TestServer['config']) => {
      if (config.database.kind === 'server') targetPort = config.database.address.port
      return config
    }
    await (await startServer(change)).close()
    wire = await startCommitWire(targetPort)
    server = await startServer((config) => {
      if (config.database.kind !== 'server') return config
      const address = { ...config.database.address, port: wire.port }
      return { ...config, database: { ...config.database, address } }
    })
  })
  afterAll(async () => {
    await server.close()
    await wire[Symbol.asyncDispose]()
  })

  /** Runs a write whose commit is lost so many times. */
  async function losing<Answer>(write: () => Promise<Answer>, times = 1): Promise<Answer> {
    Object.assign(wire, { loses, times })
    try {
      return await write()
    } finally {
      expect(wire.times).toBe(0)
    }
  }

  test('a model version is made once', async () => {
    await server.client.registeredModels.create({ name: 'versioned' })

    const version = { name: 'versioned', source: 's3://b/1' }
    const { model_version } = await losing(() => server.client.modelVersions.create(version), 2)

    const filter = "name = 'versioned'"
    const { model_versions } = await server.client.modelVersions.search({ filter })
    expect(model_versions?.map((each) => each.version)).toEqual([model_version.version])
  })

  test('a logged model is made once', async () => {
    const { experiment_id } = await server.client.experiments.create({ name: 'of-logged' })

    const { model } = await losing(() => server.client.loggedModels.create({ experiment_id }))

    const { models = [] } = await server.client.loggedModels.search({
      experiment_ids: [experiment_id],
    })
    expect(models.map(({ info }) => info.model_id)).toEqual([model.info.model_id])
  })

  test('a run is made once', async () => {
    const { experiment_id } = await server.client.experiments.create({ name: 'of-run' })

    const { run } = await losing(() => server.client.runs.create({ experiment_id }))

    const { runs = [] } = await server.client.runs.search({ experiment_ids: [experiment_id] })
    expect(runs.map(({ info }) => info.run_id)).toEqual([run.info.run_id])
  })

  test('whoever makes an experiment or a registered model is not told that it exists', async () => {
    const { experiment_id } = await losing(() =>
      server.client.experiments.create({ name: 'only-one', tags: [{ key: 'k', value: 'v' }] }),
    )
    const { registered_model } = await losing(() =>
      server.client.registeredModels.create({ name: 'only-one' }),
    )

    const { experiment } = await server.client.experiments.getByName({
      experiment_name: 'only-one',
    })
    expect(experiment.experiment_id).toBe(experiment_id)
    expect(registered_model.name).toBe('only-one')
  })

  test('whoever deletes or renames something is not told that it is gone', async () => {
    const { experiment_id } = await server.client.experiments.create({
      name: 'tagged',
      tags: [{ key: 'k', value: 'v' }],
    })
    await server.client.registeredModels.create({ name: 'old' })

    await losing(() => server.client.experiments.deleteTag({ experiment_id, key: 'k' }))
    await losing(() => server.client.registeredModels.rename({ name: 'old', new_name: 'new' }))

    const { experiment } = await server.client.experiments.get({ experiment_id })
    expect(experiment.tags ?? []).toEqual([])
    const { registered_model } = await server.client.registeredModels.get({ name: 'new' })
    expect(registered_model.name).toBe('new')
  })

  test('a batch is there once', async () => {
    const { run } = await server.client.runs.create({ experiment_id: '0' })
    const { run_id } = run.info

    await losing(() =>
      server.client.runs.logBatch({
        run_id,
        metrics: [{ key: 'm', value: 1, timestamp: 1, step: 1 }],
        params: [{ key: 'p', value: '1' }],
      }),
    )

    const { data } = (await server.client.runs.get({ run_id })).run
    expect(data.params).toEqual([{ key: 'p', value: '1' }])
    const { metrics } = await server.client.metrics.getHistory({ run_id, metric_key: 'm' })
    expect(metrics).toHaveLength(1)
  })
})
