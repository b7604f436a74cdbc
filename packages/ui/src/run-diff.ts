import type { Run } from '@millrace/api/runs'
import { directionOf, importanceOf } from './metric-names.ts'
import { isOwnTag, numberIn, valuesOf } from './run-values.ts'

/** One line of a comparison: what each run has under a key, in the order of the runs. */
export interface DiffRow {
  key: string
  texts: (string | undefined)[]
  differs: boolean
}

export type DiffKind = 'params' | 'metrics' | 'tags'

/** Params, metrics or own tags of several runs, by key. */
export function compareRuns(runs: readonly Run[], kind: DiffKind): DiffRow[] {
  const keys = new Set(runs.flatMap((run) => [...valuesOf(run)[kind].keys()]))
  return [...keys]
    .filter((key) => kind !== 'tags' || isOwnTag(key))
    .sort((a, b) => rankOf(b, kind) - rankOf(a, kind) || a.localeCompare(b))
    .map((key) => {
      const texts = runs.map((run) => textOf(valuesOf(run)[kind].get(key)))
      return { key, texts, differs: texts.some((text) => !isSame(text, texts[0])) }
    })
}

/** Metrics that runs are judged by come first; the rest is in the order of the alphabet. */
function rankOf(key: string, kind: DiffKind): number {
  return kind === 'metrics' ? importanceOf(key) : 0
}

function textOf(value: string | number | undefined): string | undefined {
  return value === undefined ? undefined : String(value)
}

/** 0.10 and 0.1 are the same param. */
function isSame(a: string | undefined, b: string | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined) return false
  const number = numberIn(a)
  return number !== undefined && number === numberIn(b)
}

export interface Change {
  /** Of the baseline, such as 0.031 for three percent more; undefined from a baseline of zero. */
  share: number | undefined
  isBetter: boolean | undefined
}

/** How a metric's value differs from the baseline's; undefined when it does not. */
export function changeFrom(key: string, baseline: number, value: number): Change | undefined {
  if (Number.isNaN(baseline) || Number.isNaN(value) || baseline === value) return undefined
  const direction = directionOf(key)
  return {
    share: baseline === 0 ? undefined : (value - baseline) / Math.abs(baseline),
    isBetter: direction && (direction === 'higher') === value > baseline,
  }
}

/** +3.1 %, −0.02 %. */
export function formatShare(share: number): string {
  const percent = Math.abs(share * 100)
  const digits = percent >= 100 ? 0 : percent >= 1 ? 1 : 2
  return `${share < 0 ? '−' : '+'}${percent.toFixed(digits)} %`
}
