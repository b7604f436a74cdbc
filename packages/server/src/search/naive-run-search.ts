import { RUN_STATUSES } from '@millrace/api/runs'
import type { Comparison } from './filter.ts'
import type { RunOrder } from './order-by.ts'
import type { TestRun } from './test-rows.ts'

/** Exports what a search of runs means, said plainly over objects, for the tests to compare with. */

/** The runs that match, in order. */
export function searchNaively(
  runs: readonly TestRun[],
  comparisons: readonly Comparison[],
  order: readonly RunOrder[],
): TestRun[] {
  return runs
    .filter((run) => comparisons.every((comparison) => matches(run, comparison)))
    .sort((a, b) => compareRuns(a, b, order))
}

type Value = string | number | bigint | undefined

function matches(run: TestRun, comparison: Comparison): boolean {
  if (comparison.kind === 'dataset') {
    return run.datasets.some((dataset) => passes(dataset[comparison.key] ?? undefined, comparison))
  }
  return passes(valueOf(run, comparison), comparison)
}

function valueOf(run: TestRun, { kind, key }: { kind: string; key: string }): Value {
  if (kind === 'metric') return run.metrics[key]
  if (kind === 'param') return run.params[key]
  if (kind === 'tag') return run.tags[key]
  const attributes: Record<string, Value> = {
    run_id: run.uuid,
    run_name: run.name,
    user_id: run.user_id,
    status: RUN_STATUSES[run.status - 1],
    artifact_uri: `s3://bucket/${run.uuid}`,
    start_time: run.start_time,
    end_time: run.end_time ?? undefined,
  }
  return attributes[key]
}

function passes(value: Value, { comparator, value: wanted }: Comparison): boolean {
  if (comparator === 'IS NULL') return value === undefined
  if (comparator === 'IS NOT NULL') return value !== undefined
  if (value === undefined || wanted === null) return false
  if (typeof wanted === 'object') {
    return wanted.includes(String(value)) === (comparator === 'IN')
  }
  if (comparator === 'LIKE') return pattern(String(wanted), 'su').test(String(value))
  if (comparator === 'ILIKE') {
    return pattern(lower(String(wanted)), 'su').test(lower(String(value)))
  }
  if (comparator === '=') return sameValue(value, wanted)
  if (comparator === '!=') return !sameValue(value, wanted)
  if (typeof value === 'string' || typeof wanted === 'string') return false
  if (comparator === '>') return value > wanted
  if (comparator === '>=') return value >= wanted
  if (comparator === '<') return value < wanted
  return value <= wanted
}

/** Loose on purpose: 1 and 1n are the same number. */
function sameValue(a: string | number | bigint, b: string | number | bigint): boolean {
  return typeof a === typeof b ? a === b : a <= b && a >= b
}

function pattern(like: string, flags: string): RegExp {
  const body = like
    .replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
    .replaceAll('%', '.*')
    .replaceAll('_', '.')
  return new RegExp(`^${body}$`, flags)
}

/** SQLite knows the case of ASCII only. */
function lower(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}

function compareRuns(a: TestRun, b: TestRun, order: readonly RunOrder[]): number {
  for (const field of order) {
    const [x, y] = [valueOf(a, field), valueOf(b, field)]
    const groups = group(x) - group(y)
    if (groups !== 0) return groups
    if (group(x) > 0 || x === undefined || y === undefined || sameValue(x, y)) continue
    return x < y === field.descending ? 1 : -1
  }
  if (!sameValue(a.start_time, b.start_time)) return a.start_time > b.start_time ? -1 : 1
  return a.uuid < b.uuid ? -1 : 1
}

/** Values, then NaN, then nothing, in both directions. */
function group(value: Value): number {
  if (value === undefined) return 2
  return Number.isNaN(value) ? 1 : 0
}
