import type { MetricOut, Run } from '@millrace/api/runs'
import { importanceOf, sectionOf } from '../metric-names.ts'
import type { SeriesStyle } from '../series-colours.ts'
import type { Line } from '../ui/chart-data.ts'
import type { XKind } from '../ui/uplot-options.ts'

/** The points of several runs as lines, in the order of the runs. */
export function linesOf(
  points: readonly MetricOut[],
  runs: readonly Run[],
  { xKind, styles }: { xKind: XKind; styles: ReadonlyMap<string, SeriesStyle> },
): Line[] {
  const byRun = Map.groupBy(points, ({ run_id }) => run_id)
  return runs.flatMap(({ info }) => {
    const own = byRun.get(info.run_id)
    if (own === undefined) return []
    const x = xOf(xKind, Number(own[0]?.timestamp ?? 0))
    const sorted = own
      .map((point) => ({ x: x(point), y: Number(point.value) }))
      .sort((a, b) => a.x - b.x)
    const { colour, dash } = styles.get(info.run_id) ?? { colour: 'var(--text)', dash: 0 }
    return [
      {
        id: info.run_id,
        name: info.run_name,
        colour,
        dash,
        xs: sorted.map((point) => point.x),
        ys: sorted.map((point) => point.y),
      },
    ]
  })
}

function xOf(xKind: XKind, start: number): (point: MetricOut) => number {
  if (xKind === 'step') return ({ step }) => Number(step)
  if (xKind === 'time') return ({ timestamp }) => Number(timestamp) / 1000
  return ({ timestamp }) => (Number(timestamp) - start) / 1000
}

export interface MetricSection {
  name: string
  metrics: { key: string; isSingle: boolean }[]
}

/** The metrics of some runs under their prefixes, those that runs are judged by first. */
export function sectionsOf(runs: readonly Run[]): MetricSection[] {
  const isAlone = runs.length === 1
  const hasCurve = new Map<string, boolean>()
  for (const { data } of runs) {
    for (const { key, step } of data.metrics ?? []) {
      hasCurve.set(key, hasCurve.get(key) === true || Number(step) !== 0)
    }
  }
  const keys = [...hasCurve.keys()].sort(
    (a, b) =>
      Number(hasCurve.get(b)) - Number(hasCurve.get(a)) ||
      importanceOf(b) - importanceOf(a) ||
      a.localeCompare(b),
  )
  // A single value of a single run is no chart; the page has it in figures.
  const drawn = keys.filter((key) => hasCurve.get(key) || !isAlone)
  const sections = Map.groupBy(drawn, sectionOf)
  return [...sections]
    .map(([name, own]) => ({
      name,
      metrics: own.map((key) => ({ key, isSingle: hasCurve.get(key) !== true })),
    }))
    .sort((a, b) => weightOf(b) - weightOf(a) || a.name.localeCompare(b.name))
}

function weightOf({ metrics }: MetricSection): number {
  return Math.max(...metrics.map(({ key }) => importanceOf(key)))
}
