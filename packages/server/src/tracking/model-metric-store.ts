import { ApiError } from '@millrace/api/errors'
import type { Insertable } from 'kysely'
import { compileOnce, type Db, insertRows } from '../db/dialect.ts'
import type { Int64, LoggedModelMetricTable } from '../db/schema.ts'
import type { RunRow } from './run-store.ts'

/** A point that a run logged for a logged model, perhaps on a dataset. */
export interface ModelMetric {
  model_id: string
  key: string
  value: number
  timestamp: Int64
  step: Int64
  dataset_name: string | undefined
  dataset_digest: string | undefined
}

const selectModel = compileOnce<{ model_id: string }, { id: number; experiment: number }>(
  (db, param) =>
    db
      .selectFrom('logged_model')
      .select(['id', 'experiment'])
      .where('model_id', '=', param('model_id')),
)

const insert = insertRows('logged_model_metric', {
  columns: [
    'model',
    'key',
    'ts',
    'step',
    'run_id',
    'experiment',
    'value',
    'is_nan',
    'dataset_name',
    'dataset_digest',
  ],
  key: ['model', 'key', 'ts', 'step', 'run_id'],
  whenThere: 'keep',
})

/**
 * Stores points of logged models; a repeat is dropped. A model that does not exist is refused with
 * the code that MLflow 3.17 gives: there a foreign key fails.
 */
export async function insertModelMetrics(
  db: Db,
  run: RunRow,
  metrics: readonly ModelMetric[],
): Promise<void> {
  const rows: Insertable<LoggedModelMetricTable>[] = []
  for (const metric of metrics) {
    const [model] = await selectModel(db, { model_id: metric.model_id })
    if (model === undefined) {
      throw new ApiError('BAD_REQUEST', `Logged model with ID '${metric.model_id}' not found.`)
    }
    const isNan = Number.isNaN(metric.value)
    rows.push({
      model: model.id,
      key: metric.key,
      ts: metric.timestamp,
      step: metric.step,
      run_id: run.uuid,
      experiment: model.experiment,
      value: isNan ? 0 : metric.value,
      is_nan: isNan ? 1 : 0,
      dataset_name: metric.dataset_name ?? null,
      dataset_digest: metric.dataset_digest ?? null,
    })
  }
  await insert(db, rows)
}
