import type { State } from './open-state.ts'

/** Values of a metric of CloudWatch at one time, as their client has summed them up. */
export interface StoredPoint {
  namespace: string
  name: string
  /** The dimensions in the order of their names, as JSON. */
  dimensions: string
  timeMs: number
  count: number
  sum: number
  min: number
  max: number
  unit: string
}

interface Row extends Omit<StoredPoint, 'timeMs'> {
  time_ms: number
}

export function insertPoints(state: State, points: StoredPoint[]): void {
  state.transaction(() => {
    for (const { namespace, name, dimensions, timeMs, count, sum, min, max, unit } of points) {
      state.run(
        'INSERT INTO metric_points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
        namespace,
        name,
        dimensions,
        timeMs,
        count,
        sum,
        min,
        max,
        unit,
      )
    }
  })
}

/** The points of one metric between two times, the second of which is not part of it. */
export function listPoints(
  state: State,
  metric: Pick<StoredPoint, 'namespace' | 'name' | 'dimensions'>,
  fromMs: number,
  toMs: number,
): StoredPoint[] {
  return state
    .all<Row>(
      `SELECT * FROM metric_points WHERE namespace = ? AND name = ? AND dimensions = ?
       AND time_ms >= ? AND time_ms < ? ORDER BY time_ms`,
      metric.namespace,
      metric.name,
      metric.dimensions,
      fromMs,
      toMs,
    )
    .map(({ time_ms, ...point }) => ({ ...point, timeMs: time_ms }))
}

/** Every metric that has points. */
export function listStoredMetrics(
  state: State,
): Pick<StoredPoint, 'namespace' | 'name' | 'dimensions'>[] {
  return state.all(
    'SELECT DISTINCT namespace, name, dimensions FROM metric_points ORDER BY 1, 2, 3',
  )
}
