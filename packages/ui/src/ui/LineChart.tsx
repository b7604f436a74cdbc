import { useEffect, useMemo, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { alignLines, type Line } from './chart-data.ts'
import { chartTooltip } from './chart-tooltip.ts'
import { resolveColour } from './resolve-colour.ts'
import { chartOptions, type XKind } from './uplot-options.ts'
import './line-chart.css'

interface LineChartProps {
  /** What the chart shows, for those who cannot see it. */
  label: string
  lines: readonly Line[]
  xKind: XKind
  isLog: boolean
  smoothing: number
  group: string
  theme: 'light' | 'dark'
  height: number
}

/** Lines on a canvas. Dragging zooms into x, a double click shows all again. */
export function LineChart(props: LineChartProps) {
  const { label, lines, xKind, isLog, smoothing, group, theme, height } = props
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const aligned = useMemo(() => alignLines(lines, { smoothing, isLog }), [lines, smoothing, isLog])
  const isSmoothed = smoothing > 0
  const look = [xKind, isLog, isSmoothed, group, theme, height, ...lines.map(styleKey)].join('\n')

  // uPlot is not React: it is made anew when its look changes, and fed when only its points do.
  useEffect(() => {
    const element = box.current
    if (!element) return
    const resolve = (colour: string) => resolveColour(colour, element)
    const width = Math.max(120, element.clientWidth)
    const options = chartOptions(lines, { width, height, xKind, isLog, isSmoothed, group, resolve })
    const tooltip = chartTooltip(lines, xKind)
    const made = new uPlot({ ...options, plugins: [tooltip] }, toData(aligned, isSmoothed), element)
    plot.current = made
    const observer = new ResizeObserver(() => {
      made.setSize({ width: Math.max(120, element.clientWidth), height })
    })
    observer.observe(element)
    return () => {
      observer.disconnect()
      made.destroy()
      plot.current = undefined
    }
    // oxlint-disable-next-line react-hooks/exhaustive-deps -- Points alone do not make a new chart.
  }, [look])

  useEffect(() => {
    const made = plot.current
    if (!made) return
    const x = made.scales['x']
    const shown = made.data[0]
    const isZoomed =
      x?.min != null && x.max != null && (x.min > (shown[0] ?? 0) || x.max < (shown.at(-1) ?? 0))
    made.setData(toData(aligned, isSmoothed), !isZoomed)
  }, [aligned, isSmoothed])

  return <div ref={box} className="line-chart" role="img" aria-label={label} style={{ height }} />
}

function styleKey({ id, name, colour, dash }: Line): string {
  return `${id} ${colour} ${dash} ${name}`
}

function toData(
  { xs, shown, raw }: ReturnType<typeof alignLines>,
  isSmoothed: boolean,
): uPlot.AlignedData {
  return [xs, ...(isSmoothed ? raw : []), ...shown]
}
