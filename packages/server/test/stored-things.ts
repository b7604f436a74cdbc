import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Client } from '@millrace/client/client'
import type { Db } from '../src/db/dialect.ts'
import { tableNames } from '../src/db/dialect.ts'
import type { TestServer } from './start-server.ts'

/** A run with something in every table of a run, an artifact, and a logged model with a file. */
export async function fillRun(server: TestServer, experiment_id: string, run_name: string) {
  const { client } = server
  const { run } = await client.runs.create({ experiment_id, run_name, start_time: 1 })
  const { run_id, artifact_uri } = run.info
  await client.runs.logBatch({
    run_id,
    metrics: [1, 2, 3].map((step) => ({ key: 'loss', value: 1 / step, timestamp: step, step })),
    params: [{ key: 'lr', value: '0.1' }],
    tags: [{ key: 'team', value: run_name }],
  })
  await client.runs.logInputs({
    run_id,
    datasets: [
      {
        tags: [{ key: 'mlflow.data.context', value: 'training' }],
        dataset: { name: 'iris', digest: 'd1', source_type: 'local', source: '{}' },
      },
    ],
  })
  const { model } = await client.loggedModels.create({
    experiment_id,
    name: `model-of-${run_name}`,
    source_run_id: run_id,
    params: [{ key: 'depth', value: '3' }],
    tags: [{ key: 'stage', value: 'try' }],
  })
  const { model_id, artifact_uri: model_uri } = model.info
  await client.runs.logOutputs({ run_id, models: [{ model_id, step: 1 }] })
  await writeArtifact(server, artifact_uri, 'plots/loss.txt', `loss of ${run_name}`)
  await writeArtifact(server, model_uri, 'MLmodel', `model of ${run_name}`)
  return { run_id, artifact_uri, model_id, model_uri }
}

/** Ends a run; background work folds and seals its metrics some time after. */
export async function endRun(client: Client, run_id: string, end_time: number) {
  await client.runs.update({ run_id, status: 'FINISHED', end_time })
}

/** The file of the test server's store behind a proxied URI. */
export function artifactFile(server: TestServer, uri: string, path = ''): string {
  const below = uri.replace('mlflow-artifacts:/', '')
  return join(server.config.settings.artifactsDestination, below, path)
}

/** Puts a file where the test server would. */
export async function writeArtifact(server: TestServer, uri: string, path: string, text: string) {
  const file = artifactFile(server, uri, path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
}

/** How many rows each table has that is not about the servers themselves. */
export async function countAllRows(db: Db): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of [...(await tableNames(db))].sort()) {
    if (table.startsWith('kysely_') || table === 'writer_witness') continue
    const { n } = await db
      .selectFrom(table as 'run')
      .select(({ fn }) => fn.countAll<number>().as('n'))
      .executeTakeFirstOrThrow()
    counts[table] = n
  }
  return counts
}
