import type { Run } from '@millrace/api/runs'
import { importanceOf, isSystemMetric } from './metric-names.ts'
import { isOwnTag, valuesOf } from './run-values.ts'

export type ColumnKind = 'attribute' | 'metric' | 'param' | 'tag'

/** A column of the runs table. `id` is how the URL spells it: `metrics.val/loss`. */
export interface Column {
  id: string
  kind: ColumnKind
  key: string
}

export const ATTRIBUTE_COLUMNS = ['start_time', 'duration', 'user_id', 'source', 'run_id'] as const
const PREFIX = { attribute: 'attributes', metric: 'metrics', param: 'params', tag: 'tags' } as const

export function column(kind: ColumnKind, key: string): Column {
  return { id: `${PREFIX[kind]}.${key}`, kind, key }
}

/** Reads a column's id; undefined for text that is none. */
export function parseColumn(id: string): Column | undefined {
  const dot = id.indexOf('.')
  const key = id.slice(dot + 1)
  const kind = (Object.keys(PREFIX) as ColumnKind[]).find(
    (name) => PREFIX[name] === id.slice(0, dot),
  )
  return kind === undefined || key === '' ? undefined : { id, kind, key }
}

const METRICS_SHOWN = 3
const PARAMS_SHOWN = 6
const DEFAULT_ATTRIBUTES = ['start_time', 'duration'].map((key) => column('attribute', key))

/** The columns that tell these runs apart: metrics and params that differ, the telling ones first. */
export function varyingColumns(runs: readonly Run[]): Column[] {
  const metrics = countKeys(runs, 'metrics').filter(({ key }) => !isSystemMetric(key))
  const params = countKeys(runs, 'params').filter(
    ({ values }) => runs.length < 2 || values.size > 1,
  )
  const shownMetrics = metrics
    .sort((a, b) => rank(b, runs.length) - rank(a, runs.length))
    .slice(0, METRICS_SHOWN)
  const shownParams = params
    .sort((a, b) => spread(b, runs.length) - spread(a, runs.length))
    .slice(0, PARAMS_SHOWN)
  return [
    ...shownMetrics.map(({ key }) => column('metric', key)),
    ...shownParams.map(({ key }) => column('param', key)),
    ...DEFAULT_ATTRIBUTES,
  ]
}

/** Every column that these runs could fill, by kind and name. */
export function knownColumns(runs: readonly Run[]): Column[] {
  const keys = (kind: 'metrics' | 'params' | 'tags') =>
    countKeys(runs, kind)
      .map(({ key }) => key)
      .sort((a, b) => a.localeCompare(b))
  return [
    ...ATTRIBUTE_COLUMNS.map((key) => column('attribute', key)),
    ...keys('metrics').map((key) => column('metric', key)),
    ...keys('params').map((key) => column('param', key)),
    ...keys('tags')
      .filter(isOwnTag)
      .map((key) => column('tag', key)),
  ]
}

interface KeyUse {
  key: string
  /** Runs that have it. */
  count: number
  /** Its different values, at most a few dozen of them. */
  values: Set<string | number>
}

const VALUES_REMEMBERED = 40

function countKeys(runs: readonly Run[], kind: 'metrics' | 'params' | 'tags'): KeyUse[] {
  const uses = new Map<string, KeyUse>()
  for (const run of runs) {
    for (const [key, value] of valuesOf(run)[kind]) {
      const use = uses.get(key) ?? { key, count: 0, values: new Set() }
      use.count++
      if (use.values.size < VALUES_REMEMBERED) use.values.add(value)
      uses.set(key, use)
    }
  }
  return [...uses.values()]
}

function rank({ key, count, values }: KeyUse, runs: number): number {
  return importanceOf(key) + (4 * count) / runs + (values.size > 1 ? 2 : 0)
}

/** A param says most when many runs have it and it takes a handful of values, not one per run. */
function spread({ count, values }: KeyUse, runs: number): number {
  const isPerRun = values.size > 8 && values.size >= count * 0.9
  return count / runs + (isPerRun ? 0 : 0.5) + Math.min(values.size, 5) / 20
}

/** The metric that a list of runs is judged by. */
export function mainMetric(runs: readonly Run[]): string | undefined {
  return varyingColumns(runs).find(({ kind }) => kind === 'metric')?.key
}
