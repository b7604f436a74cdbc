import type { Run } from '@millrace/api/runs'

/** What a run says under each key, looked up once per run object. */
export interface RunValues {
  metrics: ReadonlyMap<string, number>
  params: ReadonlyMap<string, string>
  tags: ReadonlyMap<string, string>
}

const valuesOfRun = new WeakMap<Run, RunValues>()

export function valuesOf(run: Run): RunValues {
  const known = valuesOfRun.get(run)
  if (known) return known
  const { metrics = [], params = [], tags = [] } = run.data
  const values = {
    metrics: new Map(metrics.map(({ key, value }) => [key, Number(value)])),
    params: new Map(params.map(({ key, value }) => [key, value])),
    tags: new Map(tags.map(({ key, value }) => [key, value])),
  }
  valuesOfRun.set(run, values)
  return values
}

/** The run that this one is nested in. */
export function parentOf(run: Run): string | undefined {
  return valuesOf(run).tags.get('mlflow.parentRunId')
}

/** Milliseconds from start to end, or to the present while the run goes on. */
export function durationOf({ info }: Run, now: number): number | undefined {
  if (info.end_time !== undefined) return Number(info.end_time) - Number(info.start_time)
  return info.status === 'RUNNING' ? Math.max(0, now - Number(info.start_time)) : undefined
}

/** Tags that people set; MLflow's own begin with `mlflow.`. */
export function isOwnTag(key: string): boolean {
  return !key.startsWith('mlflow.')
}

/** A text that is a plain number, as most params are; undefined otherwise. */
export function numberIn(text: string): number | undefined {
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) ? Number(text) : undefined
}
