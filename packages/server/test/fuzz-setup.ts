import type { Client } from '@millrace/client/client'
import type { KnownThings } from './fuzz-values.ts'

/** Makes things for requests to be about; their names begin with `prefix`. */
export async function makeKnownThings(
  client: Client,
  url: string,
  prefix: string,
): Promise<KnownThings> {
  const known: KnownThings = {
    experiments: [],
    runs: [],
    models: [],
    loggedModels: [],
    pageTokens: [],
  }
  for (const name of ['first', 'second', 'third']) {
    const { experiment_id } = await client.experiments.create({ name: `${prefix} ${name}` })
    known.experiments.push(experiment_id)
    for (let i = 0; i < 4; i++) {
      const { run_id, artifact_uri } = await makeRun(client, experiment_id, i)
      known.runs.push(run_id)
      await upload(url, `${artifact_uri}/a.txt`)
    }
    const { model } = await client.loggedModels.create({ experiment_id, name: 'made' })
    known.loggedModels.push(model.info.model_id)
    await upload(url, `${model.info.artifact_uri}/a.txt`)
  }
  for (const name of ['gone', 'away', 'binned']) {
    const { experiment_id } = await client.experiments.create({ name: `${prefix} ${name}` })
    await client.experiments.delete({ experiment_id })
    known.experiments.push(experiment_id)
  }
  for (const kind of ['tree', 'net', 'line', 'rule', 'mean']) {
    const name = `${prefix}-${kind}`
    await client.registeredModels.create({ name, tags: [{ key: 't', value: 'v' }] })
    const { info } = (await client.runs.get({ run_id: known.runs[0] ?? '' })).run
    for (let i = 0; i < 2; i++) {
      await client.modelVersions.create({ name, source: info.artifact_uri, run_id: info.run_id })
    }
    await client.registeredModels.setAlias({ name, alias: 'champion', version: '1' })
    known.models.push(name)
  }
  return known
}

async function makeRun(client: Client, experiment_id: string, i: number) {
  const { run } = await client.runs.create({ experiment_id, start_time: i, run_name: `run ${i}` })
  const { run_id } = run.info
  await client.runs.logBatch({
    run_id,
    metrics: Array.from({ length: 20 }, (_, step) => ({
      key: 'm',
      value: step * i,
      timestamp: step,
      step,
    })),
    params: [{ key: 'p', value: 'a' }],
    tags: [{ key: 't', value: 'v' }],
  })
  await client.runs.logInputs({
    run_id,
    datasets: [{ dataset: { name: 'd', digest: `${i % 2}`, source_type: 'local', source: 's' } }],
  })
  if (i % 2 === 1) await client.runs.update({ run_id, status: 'FINISHED', end_time: 9 })
  return run.info
}

async function upload(url: string, uri: string): Promise<void> {
  const path = uri.replace('mlflow-artifacts:/', '')
  const body = 'content'
  await fetch(`${url}/api/2.0/mlflow-artifacts/artifacts/${path}`, { method: 'PUT', body })
}
