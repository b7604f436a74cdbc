import { existsSync } from 'node:fs'
import { rm, utimes } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { startServer, type TestServer } from '../../test/start-server.ts'
import { artifactFile, fillRun, writeArtifact } from '../../test/stored-things.ts'
import { reportOrphans } from './orphans.ts'

async function orphans({ config }: TestServer, { isTrial }: { isTrial: boolean }) {
  const { database, settings } = config
  const lines: string[] = []
  await reportOrphans({ database, settings, isTrial, print: (line) => lines.push(line) })
  return lines
}

const A = 'a'.repeat(32)
const B = 'b'.repeat(32)

test('finds files and rows of nobody, and deletes those that are a day old', async () => {
  await using server = await startServer()
  const kept = await fillRun(server, '0', 'kept')
  const root = 'mlflow-artifacts:/'
  await writeArtifact(server, `${root}0/${A}/artifacts`, 'model/weights.bin', '12345')
  await writeArtifact(server, `${root}77/models/m-${B}/artifacts`, 'MLmodel', '123')
  await writeArtifact(server, `${root}0/${B}/artifacts`, 'young.txt', '1')
  await writeArtifact(server, `${root}0/${B.replace('b', 'c')}`, 'meta.yaml', 'of a file store')
  await writeArtifact(server, `${root}0/notes`, 'mine.txt', 'put there by hand')
  const twoDaysAgo = new Date(Date.now() - 2 * 86_400_000)
  const weights = artifactFile(server, `${root}0/${A}/artifacts`, 'model/weights.bin')
  const model = artifactFile(server, `${root}77/models/m-${B}/artifacts`, 'MLmodel')
  for (const file of [weights, model]) await utimes(file, twoDaysAgo, twoDaysAgo)
  await server.change((db) =>
    db.insertInto('param').values({ run: 4711, key: 1, experiment: 0, value: 'x' }).execute(),
  )

  const report = await orphans(server, { isTrial: true })
  expect(report).toEqual([
    `mlflow-artifacts:/0/${A}: 1 file(s), 5 byte(s), older than a day`,
    `mlflow-artifacts:/0/${B}: 1 file(s), 1 byte(s), younger than a day, so it stays`,
    `mlflow-artifacts:/77/models/m-${B}: 1 file(s), 3 byte(s), older than a day`,
    'Directories without a run or logged model: 3 with 3 file(s), 9 byte(s); 0 deleted.',
    'param: 1 row(s) without an owner',
    'Rows without a run or logged model: 1; 0 deleted.',
    'Runs without a directory: 0; a run that logged no file has none. Things that should have files and have none: 0.',
  ])
  expect(existsSync(weights)).toBe(true)

  await orphans(server, { isTrial: false })

  expect([existsSync(weights), existsSync(model)]).toEqual([false, false])
  const [, directories, rows] = await orphans(server, { isTrial: true })
  expect(directories).toContain('logged model: 1 with 1 file(s)')
  expect(rows).toBe('Rows without a run or logged model: 0; 0 deleted.')
  for (const path of [`0/${B.replace('b', 'c')}/meta.yaml`, '0/notes/mine.txt']) {
    expect(existsSync(artifactFile(server, root, path)), path).toBe(true)
  }
  expect(existsSync(artifactFile(server, kept.artifact_uri, 'plots/loss.txt'))).toBe(true)
  const run = await server.client.runs.get({ run_id: kept.run_id })
  expect(run.run.data.params).toHaveLength(1)
})

test('names what should have files and has none', async () => {
  await using server = await startServer()
  const { client } = server
  const { run_id, artifact_uri, model_id, model_uri } = await fillRun(server, '0', 'lost')
  await client.runs.setTag({ run_id, key: 'mlflow.log-model.history', value: '[]' })
  await client.loggedModels.finalize({ model_id, status: 'LOGGED_MODEL_READY' })
  await client.registeredModels.create({ name: 'churn' })
  await client.modelVersions.create({ name: 'churn', source: `runs:/${run_id}/model`, run_id })
  await client.runs.create({ experiment_id: '0', run_name: 'without files' })
  await rm(artifactFile(server, artifact_uri, '..'), { recursive: true })
  await rm(artifactFile(server, model_uri, '..'), { recursive: true })

  const lines = await orphans(server, { isTrial: true })

  expect(lines.slice(2)).toEqual([
    `Run ${run_id} logged a model, and has no files: ${artifact_uri}`,
    `Logged model ${model_id} has no files: ${model_uri}`,
    `Version 1 of model 'churn' has no files: runs:/${run_id}/model`,
    'Runs without a directory: 2; a run that logged no file has none. Things that should have files and have none: 3.',
  ])
})
