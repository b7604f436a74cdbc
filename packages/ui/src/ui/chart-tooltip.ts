import type uPlot from 'uplot'
import { formatAxis, formatDuration, formatExactTime, formatNumber } from '../format.ts'
import { type Column, type Line, nearestValue } from './chart-data.ts'
import type { XKind } from './uplot-options.ts'

const ROWS = 10
const GAP = 14

/** What the lines are at the crosshair, the highest first, beside the pointer and never under it. */
export function chartTooltip(lines: readonly Line[], xKind: XKind): uPlot.Plugin {
  const box = document.createElement('div')
  box.className = 'chart-tooltip'
  box.hidden = true
  let isHovered = false
  return {
    hooks: {
      init: (plot) => {
        plot.over.append(box)
        plot.over.addEventListener('mouseenter', () => {
          isHovered = true
        })
        plot.over.addEventListener('mouseleave', () => {
          isHovered = false
          box.hidden = true
        })
      },
      setCursor: (plot) => {
        const { idx, left = 0, top = 0 } = plot.cursor
        const isShown = isHovered && idx !== null && idx !== undefined
        box.hidden = !isShown
        if (!isShown) return
        fill(box, plot, { lines, xKind, index: idx })
        place(box, plot, { left, top })
      },
    },
  }
}

function fill(
  box: HTMLElement,
  plot: uPlot,
  { lines, xKind, index }: { lines: readonly Line[]; xKind: XKind; index: number },
): void {
  const firstColumn = plot.data.length - lines.length
  const rows = lines
    .map((line, i) => ({
      line,
      value: nearestValue((plot.data[firstColumn + i] ?? []) as Column, index),
    }))
    .filter((row): row is { line: Line; value: number } => row.value !== undefined)
    .sort((a, b) => b.value - a.value)
  const heading = element('div', 'chart-tooltip-x', xText(plot.data[0][index] ?? 0, xKind))
  const shown = rows.slice(0, ROWS).map(({ line, value }) => {
    const row = element('div', 'chart-tooltip-row')
    const dot = element('span', 'chart-tooltip-dot')
    dot.style.background = line.colour
    row.append(dot, element('span', 'truncate', line.name), element('b', '', formatNumber(value)))
    return row
  })
  const rest = rows.length - shown.length
  box.replaceChildren(heading, ...shown)
  if (rest > 0) box.append(element('div', 'chart-tooltip-x', `and ${rest} more`))
}

function xText(x: number, xKind: XKind): string {
  if (xKind === 'time') return formatExactTime(x * 1000)
  return xKind === 'relative' ? `after ${formatDuration(x * 1000)}` : `step ${formatAxis(x)}`
}

function place(box: HTMLElement, plot: uPlot, { left, top }: { left: number; top: number }): void {
  const { width, height } = plot.over.getBoundingClientRect()
  const isRight = left > width / 2
  box.style.left = isRight ? '' : `${left + GAP}px`
  box.style.right = isRight ? `${width - left + GAP}px` : ''
  box.style.top = `${Math.min(Math.max(0, top - box.offsetHeight / 2), Math.max(0, height - box.offsetHeight))}px`
}

function element(tag: string, className: string, text?: string): HTMLElement {
  const made = document.createElement(tag)
  made.className = className
  if (text !== undefined) made.textContent = text
  return made
}
