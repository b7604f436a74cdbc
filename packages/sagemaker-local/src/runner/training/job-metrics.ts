import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { MetricPoint } from '../instance/metric-patterns.ts'

/**
 * The values that a job has printed so far, as its metric definitions find them, in the order of
 * their times. `jobDirectory` is the job's folder: `<data>/jobs/training-job/<name>`.
 */
export async function readMetricPoints(jobDirectory: string): Promise<MetricPoint[]> {
  const points: MetricPoint[] = []
  for (const attempt of await entriesOf(jobDirectory)) {
    for (const host of await entriesOf(join(jobDirectory, attempt))) {
      const file = join(jobDirectory, attempt, host, 'metrics.jsonl')
      const text = await readFile(file, 'utf8').catch(() => '')
      // The last line may still be written; each whole one was written by the supervisor.
      for (const line of text.split('\n').slice(0, -1)) points.push(JSON.parse(line) as MetricPoint)
    }
  }
  return points.sort((a, b) => a.timeMs - b.timeMs)
}

/** The last value of each metric, as DescribeTrainingJob tells it. */
export async function finalMetrics(jobDirectory: string) {
  const last = new Map<string, MetricPoint>()
  for (const point of await readMetricPoints(jobDirectory)) last.set(point.name, point)
  return [...last.values()].map(({ name, value, timeMs }) => ({
    MetricName: name,
    Value: value,
    Timestamp: timeMs / 1000,
  }))
}

function entriesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}
