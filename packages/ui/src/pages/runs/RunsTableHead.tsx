import { ArrowDown, ArrowUp } from 'lucide-react'
import { directionOf } from '../../metric-names.ts'
import { formatSort, isSortable, parseSort } from '../../run-order.ts'
import type { ColumnView } from './column-views.ts'

const NAMES: Record<string, string> = {
  'attributes.start_time': 'started',
  'attributes.duration': 'duration',
  'attributes.user_id': 'user',
  'attributes.source': 'source',
  'attributes.run_id': 'run id',
}

export function columnName(view: { id: string; key: string }): string {
  return NAMES[view.id] ?? view.key
}

interface RunsTableHeadProps {
  columns: readonly ColumnView[]
  window: { from: number; to: number; before: number; after: number }
  sort: string
  isAllSelected: boolean
  onSort: (sort: string) => void
  onSelectAll: (isSelected: boolean) => void
}

export function RunsTableHead(props: RunsTableHeadProps) {
  const { columns, window, sort, isAllSelected, onSort, onSelectAll } = props
  const shown = columns.slice(window.from, window.to)
  return (
    <div role="row" aria-rowindex={1} className="runs-head">
      <div role="columnheader" className="run-name" aria-sort={sortState(sort, NAME)}>
        <input
          type="checkbox"
          aria-label="Select all loaded runs"
          checked={isAllSelected}
          onChange={(event) => onSelectAll(event.target.checked)}
        />
        <SortButton name="Run" columnId={NAME} sort={sort} onSort={onSort} />
      </div>
      <div className="run-gap" style={{ width: window.before }} />
      {shown.map((view, index) => (
        <div
          key={view.id}
          role="columnheader"
          aria-sort={sortState(sort, view.id)}
          className={view.isNumeric ? 'head-cell numeric' : 'head-cell'}
          style={{ width: view.width }}
        >
          <span className="head-group">
            {view.kind !== shown[index - 1]?.kind && view.kind !== 'attribute' && `${view.kind}s`}
          </span>
          <SortButton name={columnName(view)} columnId={view.id} sort={sort} onSort={onSort} />
        </div>
      ))}
      <div className="run-gap" style={{ width: window.after }} />
    </div>
  )
}

const NAME = 'attributes.run_name'

function sortState(sort: string, columnId: string) {
  const { columnId: sorted, descending } = parseSort(sort)
  if (sorted !== columnId) return 'none'
  return descending ? 'descending' : 'ascending'
}

interface SortButtonProps {
  name: string
  columnId: string
  sort: string
  onSort: (sort: string) => void
}

/** Sorts by a column, the better values first; again, the other way round. */
function SortButton({ name, columnId, sort, onSort }: SortButtonProps) {
  if (!isSortable(columnId)) {
    return (
      <span className="head-name truncate" title={name}>
        {name}
      </span>
    )
  }
  const state = sortState(sort, columnId)
  const startsDescending = columnId === 'attributes.start_time' || isHigherBetter(columnId)
  const descending = state === 'none' ? startsDescending : state === 'ascending'
  const Arrow = state === 'descending' ? ArrowDown : ArrowUp
  return (
    <button
      type="button"
      className="head-name"
      title={`Sort by ${name}`}
      onClick={() => onSort(formatSort({ columnId, descending }))}
    >
      <span className="truncate">{name}</span>
      {state === 'none' ? <Better columnId={columnId} /> : <Arrow className="icon" aria-hidden />}
    </button>
  )
}

function isHigherBetter(columnId: string): boolean {
  return columnId.startsWith('metrics.') && directionOf(columnId.slice(8)) === 'higher'
}

/** A small sign of which values are better, where the name tells. */
function Better({ columnId }: { columnId: string }) {
  if (!columnId.startsWith('metrics.')) return null
  const direction = directionOf(columnId.slice(8))
  if (direction === undefined) return null
  return (
    <span className="better" title={`${direction} is better`}>
      {direction === 'higher' ? '↑' : '↓'}
    </span>
  )
}
