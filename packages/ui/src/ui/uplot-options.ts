import uPlot from 'uplot'
import { formatAxis, formatDuration } from '../format.ts'
import type { Line } from './chart-data.ts'

export type XKind = 'step' | 'time' | 'relative'

export interface ChartLook {
  width: number
  height: number
  xKind: XKind
  isLog: boolean
  isSmoothed: boolean
  /** Charts of one group share their crosshair. */
  group: string
  /** Turns any CSS colour into one that a canvas takes. */
  resolve: (colour: string) => string
}

const DASHES = [undefined, [6, 3], [2, 3], [8, 3, 2, 3]]
/** How far apart the marks of an axis of steps may be, of which there are no halves. */
const WHOLE_STEPS = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e12].flatMap((power) => [
  power,
  2 * power,
  5 * power,
])
const FONT = '11px "Inter Variable", system-ui, sans-serif'

/** How uPlot draws lines here: thin grid, no frame, short numbers, the hovered line in front. */
export function chartOptions(lines: readonly Line[], look: ChartLook): uPlot.Options {
  const { width, height, xKind, isLog, isSmoothed, group, resolve } = look
  const axis = {
    stroke: resolve('var(--text-muted)'),
    font: FONT,
    grid: { stroke: resolve('var(--line)'), width: 1 },
    ticks: { show: false },
  }
  const raw = isSmoothed ? lines.map((line) => seriesOf(line, resolve, { isFaint: true })) : []
  return {
    width,
    height,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    focus: { alpha: 0.3 },
    cursor: {
      sync: { key: group, scales: ['x', null] },
      focus: { prox: 24 },
      points: { size: 6 },
      drag: { x: true, y: false },
    },
    scales: {
      x: { time: xKind === 'time' },
      y: isLog ? { distr: 3 } : { range: paddedRange },
    },
    axes: [
      {
        ...axis,
        size: 24,
        gap: 4,
        ...(xKind !== 'time' && { values: xValues(xKind) }),
        ...(xKind === 'step' && { incrs: WHOLE_STEPS }),
      },
      { ...axis, gap: 6, size: yAxisSize, values: (_plot, splits) => splits.map(yText) },
    ],
    series: [{}, ...raw, ...lines.map((line) => seriesOf(line, resolve, { isFaint: false }))],
  }
}

function seriesOf(
  { name, colour, dash, isStepped = false }: Line,
  resolve: ChartLook['resolve'],
  { isFaint }: { isFaint: boolean },
): uPlot.Series {
  const dashes = DASHES[Math.min(dash, DASHES.length - 1)]
  return {
    label: name,
    stroke: resolve(colour),
    width: 1.5,
    spanGaps: true,
    alpha: isFaint ? 0.2 : 1,
    points: { show: isFaint ? false : showsPoints },
    ...(dashes && !isFaint && { dash: dashes }),
    ...(isStepped && uPlot.paths.stepped && { paths: uPlot.paths.stepped({ align: 1 }) }),
  }
}

/** A line of a few points shows where they are; one point would otherwise be invisible. */
function showsPoints(plot: uPlot, seriesIndex: number): boolean {
  const column = plot.data[seriesIndex] ?? []
  let count = 0
  for (const value of column) if (value !== null && ++count > 12) return false
  return true
}

function xValues(xKind: XKind) {
  return (_plot: uPlot, splits: number[]) =>
    splits.map((split) => (xKind === 'relative' ? formatDuration(split * 1000) : formatAxis(split)))
}

// On a logarithmic axis uPlot leaves out labels by handing in null.
function yText(split: number | null): string {
  return split === null ? '' : formatAxis(split)
}

function yAxisSize(_plot: uPlot, values: string[] | null): number {
  const longest = Math.max(0, ...(values ?? []).map((text) => text.length))
  return 16 + longest * 6.3
}

function paddedRange(_plot: uPlot, min: number | null, max: number | null): [number, number] {
  if (min === null || max === null) return [0, 1]
  if (min === max)
    return [min - Math.max(1e-9, Math.abs(min) * 0.1), max + Math.max(1e-9, Math.abs(max) * 0.1)]
  const room = (max - min) * 0.04
  return [min - room, max + room]
}
