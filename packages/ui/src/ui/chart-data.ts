import { smooth } from '../smoothing.ts'

/** A line of a chart: its points in the order of x. */
export interface Line {
  id: string
  name: string
  /** Any CSS colour, variables included. */
  colour: string
  /** 0 is solid, higher numbers are ever shorter dashes. */
  dash: number
  /** Holds each value until the next one, rather than leading to it. */
  isStepped?: boolean
  xs: readonly number[]
  /** Values; NaN where the metric was not a number. */
  ys: readonly number[]
}

export type Column = (number | null)[]

export interface AlignOptions {
  /** Weight from 0, as logged, to just below 1. */
  smoothing: number
  /** Values that a logarithmic axis cannot show become gaps. */
  isLog: boolean
}

/** The lines over one common x, as uPlot wants them: all xs, then each line's values or gaps. */
export function alignLines(
  lines: readonly Line[],
  { smoothing, isLog }: AlignOptions,
): { xs: number[]; shown: Column[]; raw: Column[] } {
  const xs = [...new Set(lines.flatMap((line) => line.xs))].sort((a, b) => a - b)
  const indexOf = new Map(xs.map((x, index) => [x, index]))
  const shown: Column[] = []
  const raw: Column[] = []
  for (const line of lines) {
    const values = line.ys.map((y) => (Number.isFinite(y) && !(isLog && y <= 0) ? y : null))
    raw.push(spread(line.xs, values, indexOf))
    shown.push(spread(line.xs, smooth(line.xs, values, smoothing), indexOf))
  }
  return { xs, shown, raw }
}

/** Of several points at one x the last one counts. */
function spread(xs: readonly number[], ys: Column, indexOf: ReadonlyMap<number, number>): Column {
  const column = Array.from<number | null>({ length: indexOf.size }).fill(null)
  for (const [i, x] of xs.entries()) column[indexOf.get(x) ?? 0] = ys[i] ?? null
  return column
}

/** The value of a column nearest to an index, looking both ways. */
export function nearestValue(column: Column, index: number): number | undefined {
  for (let distance = 0; distance < column.length; distance++) {
    const value = column[index - distance] ?? column[index + distance]
    if (value !== null && value !== undefined) return value
  }
  return undefined
}
