import { join } from 'node:path'
import { readMetricPoints } from '../runner/training/job-metrics.ts'
import type { TrainingJobDocument, TrainingProgress } from '../runner/training/training-job.ts'
import { listPoints, listStoredMetrics, type StoredPoint } from '../state/metric-store.ts'
import { findResource, listAll } from '../state/resource-store.ts'
import type { OperationContext } from './operation.ts'

/** Where CloudWatch has what metric definitions find in the logs of training jobs. */
export const TRAINING_NAMESPACE = '/aws/sagemaker/TrainingJobs'
const JOB_DIMENSION = 'TrainingJobName'

export interface Dimension {
  Name: string
  Value: string
}

/** What a metric is known by. */
export interface MetricId {
  Namespace: string
  MetricName: string
  Dimensions: Dimension[]
}

export type Statistic = 'SampleCount' | 'Average' | 'Sum' | 'Minimum' | 'Maximum'

/** What was measured in one period. */
export interface Bucket extends Record<Statistic, number> {
  timeMs: number
}

type Point = Pick<StoredPoint, 'timeMs' | 'count' | 'sum' | 'min' | 'max'>

/**
 * The periods of a metric that have values in them, in the order of their times, which are whole
 * numbers of periods. The end is not part of it.
 */
export async function readBuckets(
  context: OperationContext,
  metric: MetricId,
  { fromMs, toMs, periodMs }: { fromMs: number; toMs: number; periodMs: number },
): Promise<Bucket[]> {
  const startMs = Math.floor(fromMs / periodMs) * periodMs
  const buckets = new Map<number, Point>()
  for (const point of await readPoints(context, metric, startMs, toMs)) {
    const timeMs = Math.floor(point.timeMs / periodMs) * periodMs
    const found = buckets.get(timeMs) ?? {
      timeMs,
      count: 0,
      sum: 0,
      min: point.min,
      max: point.max,
    }
    found.count += point.count
    found.sum += point.sum
    found.min = Math.min(found.min, point.min)
    found.max = Math.max(found.max, point.max)
    buckets.set(timeMs, found)
  }
  return [...buckets.values()]
    .sort((one, other) => one.timeMs - other.timeMs)
    .map(({ timeMs, count, sum, min, max }) => ({
      timeMs,
      SampleCount: count,
      Sum: sum,
      Average: sum / count,
      Minimum: min,
      Maximum: max,
    }))
}

async function readPoints(
  context: OperationContext,
  metric: MetricId,
  fromMs: number,
  toMs: number,
): Promise<Point[]> {
  const dimensions = dimensionsText(metric.Dimensions)
  const { Namespace: namespace, MetricName: name } = metric
  const stored = listPoints(context.state, { namespace, name, dimensions }, fromMs, toMs)
  const [dimension, ...others] = metric.Dimensions
  const isJob =
    namespace === TRAINING_NAMESPACE && dimension?.Name === JOB_DIMENSION && others.length === 0
  if (!isJob || !findResource(context.state, 'training-job', dimension.Value)) return stored
  const folder = join(context.settings.directory, 'jobs', 'training-job', dimension.Value)
  const printed = (await readMetricPoints(folder))
    .filter((point) => point.name === name && point.timeMs >= fromMs && point.timeMs < toMs)
    .map(({ timeMs, value }) => ({ timeMs, count: 1, sum: value, min: value, max: value }))
  return [...stored, ...printed]
}

/** Every metric that there is: what clients have put, and those of training jobs. */
export function listMetrics({ state }: OperationContext): MetricId[] {
  const stored = listStoredMetrics(state).map(({ namespace, name, dimensions }) => ({
    Namespace: namespace,
    MetricName: name,
    // Written by `dimensionsText`.
    Dimensions: JSON.parse(dimensions) as Dimension[],
  }))
  const jobs = listAll<TrainingJobDocument, TrainingProgress>(state, 'training-job')
  const printed = jobs.flatMap(({ name, document }) =>
    (document.FinalMetricDataList ?? []).map(({ MetricName }) => ({
      Namespace: TRAINING_NAMESPACE,
      MetricName,
      Dimensions: [{ Name: JOB_DIMENSION, Value: name }],
    })),
  )
  return [...stored, ...printed]
}

/** Dimensions as they are stored: their order makes no difference. */
export function dimensionsText(dimensions: Dimension[]): string {
  const sorted = dimensions.toSorted((one, other) => (one.Name < other.Name ? -1 : 1))
  return JSON.stringify(sorted.map(({ Name, Value }) => ({ Name, Value })))
}
