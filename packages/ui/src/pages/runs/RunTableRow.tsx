import type { RunInfo } from '@millrace/api/runs'
import { ChevronDown, ChevronRight } from 'lucide-react'
import { type CSSProperties, type MouseEvent, memo } from 'react'
import { RunState } from '../../components/RunState.tsx'
import type { RunRow } from '../../run-tree.ts'
import { colourOf, type SeriesStyle } from '../../series-colours.ts'
import type { ColumnView } from './column-views.ts'
import { RunCell } from './RunCell.tsx'

/** What a row can do to the table that it is in. */
export interface RowActions {
  select: (run_id: string, isSelected: boolean) => void
  collapse: (run_id: string) => void
  hrefOf: (info: RunInfo) => string
  /** Follows the link of a run inside the app, unless the browser is to open it elsewhere. */
  open: (event: MouseEvent, info: RunInfo) => void
}

interface RunTableRowProps {
  row: RunRow
  index: number
  top: number
  columns: readonly ColumnView[]
  /** The part of the columns that is near the screen, with what is left out on both sides. */
  window: { from: number; to: number; before: number; after: number }
  /** How the charts draw the run, if they do. */
  drawn: SeriesStyle | undefined
  isSelected: boolean
  isCollapsed: boolean
  actions: RowActions
}

export const RunTableRow = memo(function RunTableRow(props: RunTableRowProps) {
  const { row, index, top, columns, window, isSelected } = props
  const { run } = row
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      className="run-row"
      style={{ transform: `translateY(${top}px)` }}
    >
      <NameCell {...props} />
      <div className="run-gap" style={{ width: window.before }} />
      {columns.slice(window.from, window.to).map((view) => (
        <div
          key={view.id}
          role="cell"
          className={view.isNumeric ? 'run-cell numeric' : 'run-cell'}
          style={{ width: view.width }}
        >
          <RunCell run={run} view={view} />
        </div>
      ))}
      <div className="run-gap" style={{ width: window.after }} />
    </div>
  )
})

function NameCell(props: RunTableRowProps) {
  const { row, drawn, isSelected, isCollapsed, actions } = props
  const { info } = row.run
  const Chevron = isCollapsed ? ChevronRight : ChevronDown
  return (
    <div role="rowheader" className="run-name" style={{ paddingLeft: 12 + row.depth * 18 }}>
      <input
        type="checkbox"
        checked={isSelected}
        aria-label={`Select ${info.run_name}`}
        onChange={(event) => actions.select(info.run_id, event.target.checked)}
      />
      <span
        className="run-dot"
        data-drawn={drawn !== undefined}
        data-dashed={drawn !== undefined && drawn.dash > 0}
        style={{ '--colour': colourOf(info.run_id) } as CSSProperties}
      />
      <RunState status={info.status} />
      <a
        className="truncate"
        href={actions.hrefOf(info)}
        title={info.run_name}
        onClick={(event) => actions.open(event, info)}
      >
        {info.run_name}
      </a>
      {row.childCount > 0 && (
        <button
          type="button"
          className="child-toggle"
          aria-expanded={!isCollapsed}
          aria-label={`${row.childCount} children of ${info.run_name}`}
          onClick={() => actions.collapse(info.run_id)}
        >
          {row.childCount}
          <Chevron className="icon" aria-hidden />
        </button>
      )}
    </div>
  )
}
