import { invalid } from '@millrace/api/errors'
import { LOG_BATCH_MAX } from '@millrace/api/runs'
import { Int64 as Int64Schema, parseDouble } from '@millrace/api/wire'
import type { Db } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import type { Int64 } from '../db/schema.ts'
import { type Points, PointsBuilder } from '../metrics/points.ts'
import { shownJson } from '../shown-json.ts'
import { checkKey, checkLength, clampInfinity, KEY_LENGTH_MAX } from './limits.ts'
import { appendPoint, appendPoints } from './metric-store.ts'
import { insertModelMetrics, type ModelMetric } from './model-metric-store.ts'
import { idOf, type RunRow } from './run-store.ts'

const ADVICE = 'See the API docs for more information about request parameters.'

/** Metrics of one request as columns; a point's key is a position in `names`. */
export interface MetricColumns {
  names: string[]
  points: Points
  /** The points that also belong to a logged model. */
  ofModels: ModelMetric[]
}

/** Checks the metrics of a `log-batch` by hand, in one pass: this is the hottest loop there is. */
export function readMetrics(metrics: readonly unknown[]): MetricColumns {
  const positions = new Map<string, number>()
  const builder = new PointsBuilder(metrics.length)
  const ofModels: ModelMetric[] = []
  for (let i = 0; i < metrics.length; i++) {
    const metric = metrics[i]
    if (metric === null || typeof metric !== 'object' || Array.isArray(metric)) {
      throw wrongType(`metrics[${i}]`, metric)
    }
    const { key, value, timestamp, step, model_id, dataset_name, dataset_digest } =
      metric as Record<string, unknown>
    if (typeof key !== 'string' || key === '') throw missingOrWrong(`metrics[${i}].key`, key)
    let position = positions.get(key)
    if (position === undefined) {
      checkMetricKey(key, `metrics[${i}].name`)
      position = positions.size
      positions.set(key, position)
    }
    const number = typeof value === 'number' ? value : parseDouble(value)
    if (number === undefined) throw missingOrWrong(`metrics[${i}].value`, value)
    const time = readInt64(`metrics[${i}].timestamp`, timestamp)
    checkTimestamp(time, key, number, `metrics[${i}].timestamp`)
    const at = step === undefined ? 0 : readInt64(`metrics[${i}].step`, step)
    builder.add(position, at, time, clampInfinity(number))
    if (typeof model_id === 'string' && model_id !== '') {
      ofModels.push({
        model_id,
        key,
        value: clampInfinity(number),
        timestamp: time,
        step: at,
        dataset_name: optionalText(dataset_name),
        dataset_digest: optionalText(dataset_digest),
      })
    }
  }
  return { names: [...positions.keys()], points: builder.points(), ofModels }
}

/** Refuses a metric's name that MLflow would refuse. */
export function checkMetricKey(key: string, path: string): void {
  checkKey(key, path)
  checkLength('Metric name', KEY_LENGTH_MAX, key)
}

/** Refuses a negative time. */
export function checkTimestamp(time: Int64, key: string, value: number, path: string): void {
  if (time >= 0) return
  throw invalid(
    `Invalid value ${time} for parameter '${path}' supplied: metric '${key}' (value=${value}). Timestamp must be a nonnegative long (64-bit integer) `,
  )
}

function readInt64(path: string, value: unknown): Int64 {
  if (Number.isSafeInteger(value)) return value as number
  const parsed = Int64Schema.safeParse(value)
  if (!parsed.success) throw missingOrWrong(path, value)
  return parsed.data
}

function optionalText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function missingOrWrong(path: string, value: unknown) {
  return value === undefined || value === null || value === ''
    ? invalid(`Missing value for required parameter '${path}'. ${ADVICE}`)
    : wrongType(path, value)
}

function wrongType(path: string, value: unknown) {
  return invalid(`Invalid value ${shownJson(value)} for parameter '${path}' supplied. ${ADVICE}`)
}

/** Refuses a batch that holds too much (3.17 `_validate_batch_log_limits`). */
export function checkBatchLimits(counts: { metrics: number; params: number; tags: number }): void {
  for (const name of ['metrics', 'params', 'tags'] as const) {
    checkLimit(name, LOG_BATCH_MAX[name], counts[name])
  }
  const total = counts.metrics + counts.params + counts.tags
  checkLimit('metrics, params, and tags', LOG_BATCH_MAX.total, total)
}

function checkLimit(entities: string, max: number, count: number): void {
  if (count <= max) return
  throw invalid(
    `A batch logging request can contain at most ${max} ${entities}. Got ${count} ${entities}. Please split up ${entities} across multiple requests and try again.`,
  )
}

/** Stores checked metrics of a run. */
export async function storeMetrics(db: Db, run: RunRow, metrics: MetricColumns): Promise<void> {
  const { names, points, ofModels } = metrics
  if (points.n === 0) return
  const ids = await keyNames(db).ensure(db, names)
  const idByPosition = names.map((name) => idOf(ids, name))
  const keys = points.keys.map((position) => idByPosition[position] ?? 0)
  await appendPoints(db, run, { ...points, keys })
  if (ofModels.length > 0) await insertModelMetrics(db, run, ofModels)
}

export interface SingleMetric {
  key: string
  value: number
  timestamp: Int64
  step: Int64
}

/** Stores one checked point of a run. */
export async function storeMetric(db: Db, run: RunRow, metric: SingleMetric): Promise<void> {
  const ids = await keyNames(db).ensure(db, [metric.key])
  await appendPoint(db, run, { ...metric, key: idOf(ids, metric.key) })
}
