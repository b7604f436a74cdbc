import type { Run } from '@millrace/api/runs'
import { columnFormat, typicalOf } from '../../format.ts'
import { bestOf } from '../../metric-names.ts'
import type { Column } from '../../run-columns.ts'
import { numberIn, valuesOf } from '../../run-values.ts'

/** A column with what its cells have in common: width, format, range and best value. */
export interface ColumnView extends Column {
  width: number
  isNumeric: boolean
  format: (value: number) => string
  best: number | undefined
  /** 0 at the lowest value of the column, 1 at the highest. */
  heat: (value: number) => number
}

const WIDTHS: Record<string, number> = {
  'attributes.start_time': 104,
  'attributes.duration': 104,
  'attributes.user_id': 96,
  'attributes.source': 150,
  'attributes.run_id': 260,
}
const METRIC = 136
const SIGN = 14
const NARROW = 64
const WIDE = 170
const CHARACTER = 6.6

export function viewColumns(columns: readonly Column[], runs: readonly Run[]): ColumnView[] {
  return columns.map((column) =>
    column.kind === 'metric' ? metricView(column, runs) : textView(column, runs),
  )
}

function metricView(column: Column, runs: readonly Run[]): ColumnView {
  const values: number[] = []
  for (const run of runs) {
    const value = valuesOf(run).metrics.get(column.key)
    if (value !== undefined) values.push(value)
  }
  const finite = values.filter(Number.isFinite)
  const typical = typicalOf(values)
  const min = typical[0] ?? 0
  const max = typical.at(-1) ?? 0
  return {
    ...column,
    isNumeric: true,
    width: Math.min(METRIC, widthOf(column.key, 8) + SIGN),
    format: columnFormat(values.length > 2000 ? values.slice(0, 2000) : values),
    best: finite.length > 1 ? bestOf(column.key, finite) : undefined,
    heat: (value) => (max > min ? Math.min(1, Math.max(0, (value - min) / (max - min))) : 0),
  }
}

const SAMPLE = 200

function textView(column: Column, runs: readonly Run[]): ColumnView {
  const texts: string[] = []
  if (column.kind !== 'attribute') {
    for (const run of runs.slice(0, SAMPLE)) {
      const values = valuesOf(run)
      const text = column.kind === 'param' ? values.params : values.tags
      texts.push(text.get(column.key) ?? '')
    }
  }
  const filled = texts.filter((text) => text !== '')
  const isNumeric = filled.length > 0 && filled.every((text) => numberIn(text) !== undefined)
  const longest = texts.reduce((length, text) => Math.max(length, text.length), 0)
  return {
    ...column,
    isNumeric,
    width: WIDTHS[column.id] ?? widthOf(column.key, longest),
    format: String,
    best: undefined,
    heat: () => 0,
  }
}

function widthOf(key: string, characters: number): number {
  const needed = Math.max(Math.min(key.length, 14), characters) * CHARACTER + 22
  return Math.min(WIDE, Math.max(NARROW, needed))
}
