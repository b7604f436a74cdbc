import type { Db } from '../db/dialect.ts'
import {
  RECORDED_EXPERIMENTS,
  RECORDED_LOGGED_MODELS,
  RECORDED_MODELS,
  RECORDED_RUNS,
} from './recorded-rows.ts'
import { openTestDatabase } from './test-database.ts'
import { insertTestExperiment, insertTestRow, insertTestRun } from './test-rows.ts'

/** Exports a database that holds `recorded-rows.ts`, in which each test only searches. */

/** MLflow's experiment ids begin at 0, so ours follow; runs and logged models are in this one. */
export const RUNS_EXPERIMENT = 100

export async function openRecordedDatabase(): Promise<Db> {
  const db = await openTestDatabase()
  for (const [index, { name, tags }] of RECORDED_EXPERIMENTS.entries()) {
    const creation_time = 100 * (index + 1)
    const stage = name === 'gone' ? 1 : 0
    const times = { creation_time, last_update_time: 1000 - 100 * index }
    await insertTestExperiment(db, { id: index, name, stage, ...times }, tags)
  }
  const elsewhere = { id: RUNS_EXPERIMENT, name: 'the-runs', workspace: 'elsewhere' }
  await insertTestExperiment(db, elsewhere)
  for (const run of RECORDED_RUNS) {
    const uuid = run.uuid.padEnd(32, '0')
    await insertTestRun(db, { ...run, uuid, experiment: RUNS_EXPERIMENT })
  }
  await insertModels(db)
  await insertLoggedModels(db)
  return db
}

async function insertModels(db: Db): Promise<void> {
  let time = 1000
  for (const { name, tags, versions } of RECORDED_MODELS) {
    const model = await insertTestRow(db, 'registered_model', {
      workspace: 'default',
      name,
      description: null,
      creation_time: time,
      last_updated_time: time,
      last_version: versions.length,
      is_prompt: 'mlflow.prompt.is_prompt' in tags ? 1 : 0,
    })
    time += 10
    for (const [key, value] of Object.entries(tags)) {
      await db.insertInto('registered_model_tag').values({ model, key, value }).execute()
    }
    for (const [index, { source, run_id, tags: versionTags }] of versions.entries()) {
      const version = index + 1
      await db
        .insertInto('model_version')
        .values({
          model,
          version,
          description: null,
          creation_time: time,
          last_updated_time: time,
          stage: 'None',
          source,
          storage_location: source,
          run_id,
          run_link: '',
          model_id: null,
          user_id: null,
          status: 'READY',
          status_message: null,
        })
        .execute()
      time += 10
      for (const [key, value] of Object.entries(versionTags)) {
        await db.insertInto('model_version_tag').values({ model, version, key, value }).execute()
      }
    }
  }
}

async function insertLoggedModels(db: Db): Promise<void> {
  const experiment = RUNS_EXPERIMENT
  for (const [index, recorded] of RECORDED_LOGGED_MODELS.entries()) {
    const { name, model_type, status, params, tags, metrics } = recorded
    const model = await insertTestRow(db, 'logged_model', {
      model_id: `m-${String(index + 1).repeat(32)}`,
      experiment,
      name,
      artifact_location: '',
      creation_time: 100 * (index + 1),
      last_updated_time: 1000 - 100 * index,
      status,
      status_message: null,
      model_type,
      source_run_id: recorded.source_run_id.padEnd(32, '0'),
      stage: 0,
    })
    for (const [key, value] of Object.entries(params)) {
      const row = { model, experiment, key, value }
      await db.insertInto('logged_model_param').values(row).execute()
    }
    for (const [key, value] of Object.entries(tags)) {
      const row = { model, experiment, key, value }
      await db.insertInto('logged_model_tag').values(row).execute()
    }
    for (const { key, value, timestamp, step, dataset_name, dataset_digest } of metrics) {
      await db
        .insertInto('logged_model_metric')
        .values({
          model,
          experiment,
          key,
          ts: timestamp,
          step,
          run_id: '1a',
          value,
          is_nan: 0,
          dataset_name: dataset_name ?? null,
          dataset_digest: dataset_digest ?? null,
        })
        .execute()
    }
  }
}
