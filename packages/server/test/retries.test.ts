import type { Client } from '@millrace/client/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startServer, type TestServer } from './start-server.ts'

/** What MLflow's clients send again when an answer gets lost, twice at once and once more later. */

let server: TestServer
let client: Client
beforeAll(async () => {
  server = await startServer()
  client = server.client
})
afterAll(() => server.close())

/** Things of one test, equal in every world but for their names and ids. */
interface World {
  name: string
  experiment_id: string
  run_id: string
  model_id: string
}

let worlds = 0

async function makeWorld(): Promise<World> {
  const name = `world-${worlds++}-`
  const { experiment_id } = await client.experiments.create({ name })
  const { run } = await client.runs.create({ experiment_id, run_name: 'run' })
  const { run_id } = run.info
  await client.runs.logBatch({
    run_id,
    metrics: [{ key: 'm', value: 1, timestamp: 1, step: 1 }],
    params: [{ key: 'p', value: '1' }],
    tags: [{ key: 't', value: '1' }],
  })
  const { model } = await client.loggedModels.create({
    experiment_id,
    name: 'logged',
    tags: [{ key: 't', value: '1' }],
  })
  await client.registeredModels.create({ name, tags: [{ key: 't', value: '1' }] })
  for (const source of ['s3://b/1', 's3://b/2']) await client.modelVersions.create({ name, source })
  await client.modelVersions.setTag({ name, version: '1', key: 't', value: '1' })
  await client.registeredModels.setAlias({ name, alias: 'a', version: '1' })
  await client.experiments.setTag({ experiment_id, key: 't', value: '1' })
  return { name, experiment_id, run_id, model_id: model.info.model_id }
}

const metric = { key: 'm', value: 2, timestamp: 2, step: 2 }
const dataset = { name: 'd', digest: '1', source_type: 's', source: 's' }

/** A write, and `refused` when its repetitions are refused as MLflow refuses them. */
const WRITES: [what: string, write: (world: World) => Promise<unknown>, repeated?: 'refused'][] = [
  ['log-metric', ({ run_id }) => client.runs.logMetric({ run_id, ...metric })],
  [
    'log-metric of a model',
    ({ run_id, model_id }) => client.runs.logMetric({ run_id, model_id, ...metric }),
  ],
  [
    'log-batch',
    ({ run_id, model_id }) =>
      client.runs.logBatch({
        run_id,
        metrics: [metric, { ...metric, model_id }, metric],
        params: [{ key: 'q', value: '2' }],
        tags: [{ key: 'u', value: '2' }],
      }),
  ],
  ['log-parameter', ({ run_id }) => client.runs.logParameter({ run_id, key: 'q', value: '2' })],
  ['set-tag', ({ run_id }) => client.runs.setTag({ run_id, key: 'u', value: '2' })],
  ['delete-tag', ({ run_id }) => client.runs.deleteTag({ run_id, key: 't' }), 'refused'],
  [
    'update',
    ({ run_id }) => client.runs.update({ run_id, status: 'FINISHED', end_time: 5, run_name: 'n' }),
  ],
  ['delete', ({ run_id }) => client.runs.delete({ run_id })],
  ['restore', ({ run_id }) => client.runs.restore({ run_id })],
  [
    'log-inputs',
    ({ run_id, model_id }) =>
      client.runs.logInputs({
        run_id,
        datasets: [{ dataset, tags: [{ key: 'mlflow.data.context', value: 'training' }] }],
        models: [{ model_id }],
      }),
  ],
  [
    'outputs',
    ({ run_id, model_id }) => client.runs.logOutputs({ run_id, models: [{ model_id, step: 3 }] }),
  ],
  [
    'set-experiment-tag',
    ({ experiment_id }) => client.experiments.setTag({ experiment_id, key: 'u', value: '2' }),
  ],
  [
    'delete-experiment-tag',
    ({ experiment_id }) => client.experiments.deleteTag({ experiment_id, key: 't' }),
    'refused',
  ],
  [
    'experiments/update',
    ({ experiment_id, name }) =>
      client.experiments.update({ experiment_id, new_name: `${name}new` }),
  ],
  [
    'experiments/delete',
    ({ experiment_id }) => client.experiments.delete({ experiment_id }),
    'refused',
  ],
  [
    'registered-models/update',
    ({ name }) => client.registeredModels.update({ name, description: 'd' }),
  ],
  [
    'registered-models/rename',
    ({ name }) => client.registeredModels.rename({ name, new_name: `${name}new` }),
    'refused',
  ],
  ['registered-models/delete', ({ name }) => client.registeredModels.delete({ name }), 'refused'],
  [
    'registered-models/set-tag',
    ({ name }) => client.registeredModels.setTag({ name, key: 'u', value: '2' }),
  ],
  [
    'registered-models/delete-tag',
    ({ name }) => client.registeredModels.deleteTag({ name, key: 't' }),
  ],
  ['alias', ({ name }) => client.registeredModels.setAlias({ name, alias: 'b', version: '2' })],
  [
    'alias to another version',
    ({ name }) => client.registeredModels.setAlias({ name, alias: 'a', version: '2' }),
  ],
  ['deleting an alias', ({ name }) => client.registeredModels.deleteAlias({ name, alias: 'a' })],
  [
    'model-versions/update',
    ({ name }) => client.modelVersions.update({ name, version: '1', description: 'd' }),
  ],
  [
    'transition-stage',
    ({ name }) =>
      client.modelVersions.transitionStage({
        name,
        version: '1',
        stage: 'Production',
        archive_existing_versions: true,
      }),
  ],
  [
    'model-versions/delete',
    ({ name }) => client.modelVersions.delete({ name, version: '1' }),
    'refused',
  ],
  [
    'model-versions/set-tag',
    ({ name }) => client.modelVersions.setTag({ name, version: '1', key: 'u', value: '2' }),
  ],
  [
    'model-versions/delete-tag',
    ({ name }) => client.modelVersions.deleteTag({ name, version: '1', key: 't' }),
  ],
  [
    'logged-models/tags',
    ({ model_id }) => client.loggedModels.setTags({ model_id, tags: [{ key: 'u', value: '2' }] }),
  ],
  [
    'logged-models/params',
    ({ model_id }) =>
      client.loggedModels.logParams({ model_id, params: [{ key: 'q', value: '2' }] }),
  ],
  [
    'logged-models finalize',
    ({ model_id }) => client.loggedModels.finalize({ model_id, status: 'LOGGED_MODEL_READY' }),
  ],
  ['logged-models/delete', ({ model_id }) => client.loggedModels.delete({ model_id })],
]

describe('delivered three times leaves what one leaves:', () => {
  test.each(WRITES)('%s', async (_what, write, repeated) => {
    const [once, often] = [await makeWorld(), await makeWorld()]

    await write(once)
    const both = await Promise.allSettled([write(often), write(often)])
    const [later] = await Promise.allSettled([write(often)])

    expect(await describeWorld(often)).toEqual(await describeWorld(once))
    const refused = [...both, later].filter((result) => result?.status === 'rejected').length
    expect(refused).toBe(repeated === 'refused' ? 2 : 0)
  })

  test('experiments/restore', async () => {
    const { experiment_id } = await makeWorld()
    await client.experiments.delete({ experiment_id })

    await Promise.allSettled([1, 2].map(() => client.experiments.restore({ experiment_id })))

    const { experiment } = await client.experiments.get({ experiment_id })
    expect(experiment.lifecycle_stage).toBe('active')
  })
})

test('a late repetition of a param, metric or tag undoes nothing that came after it', async () => {
  const { run_id } = await makeWorld()
  const first = { run_id, key: 'm', value: 5, timestamp: 5, step: 5 }
  await client.runs.logMetric(first)
  await client.runs.logMetric({ ...first, value: 6, step: 6 })

  await client.runs.logMetric(first)

  const { data } = (await client.runs.get({ run_id })).run
  expect(data.metrics).toMatchObject([{ key: 'm', value: 6, step: 6 }])
  const { metrics = [] } = await client.metrics.getHistory({ run_id, metric_key: 'm' })
  expect(metrics.map(({ step }) => step)).toEqual([1, 5, 6])
})

/** Everything of a world, without what differs between any two of them. */
async function describeWorld({ name, experiment_id, run_id, model_id }: World): Promise<unknown> {
  const or = <Answer>(call: Promise<Answer>) => call.catch((error: Error) => error.message)
  const things = {
    experiment: await client.experiments.get({ experiment_id }),
    run: await client.runs.get({ run_id }),
    history: await client.metrics.getHistory({ run_id, metric_key: 'm' }),
    logged: await or(client.loggedModels.get({ model_id, allow_deleted: true })),
    model: await or(client.registeredModels.get({ name })),
    renamed: await or(client.registeredModels.get({ name: `${name}new` })),
    versions: await client.modelVersions.search({ filter: `name = '${name}'` }),
  }
  const text = JSON.stringify(things, (key, value: unknown) =>
    /time|_ms$/.test(key) ? undefined : value,
  )
  const withoutNames = text
    .replaceAll(name, 'NAME')
    .replaceAll(run_id, 'RUN')
    .replaceAll(model_id, 'MODEL')
  return JSON.parse(
    withoutNames
      .replaceAll(`"experiment_id":"${experiment_id}"`, '"experiment_id":"E"')
      .replaceAll(`mlflow-artifacts:/${experiment_id}`, 'mlflow-artifacts:/E'),
  )
}
