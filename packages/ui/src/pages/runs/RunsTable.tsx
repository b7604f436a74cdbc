import type { Run } from '@millrace/api/runs'
import { useRouter } from '@tanstack/react-router'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useMemo, useRef, useState } from 'react'
import { basePath } from '../../base-path.ts'
import type { Column } from '../../run-columns.ts'
import { flatRuns, nestRuns } from '../../run-tree.ts'
import type { SeriesStyle } from '../../series-colours.ts'
import { viewColumns } from './column-views.ts'
import { RunsTableHead } from './RunsTableHead.tsx'
import { type RowActions, RunTableRow } from './RunTableRow.tsx'
import './runs-table.css'

interface RunsTableProps {
  runs: readonly Run[]
  columns: readonly Column[]
  sort: string
  isNested: boolean
  selected: ReadonlySet<string>
  drawn: ReadonlyMap<string, SeriesStyle>
  hasMore: boolean
  onSort: (sort: string) => void
  onSelect: (run_ids: readonly string[], isSelected: boolean) => void
  /** The end of what is loaded comes near. */
  onNearEnd: () => void
}

const ROW = 28
const NAME = 240
const AHEAD = 120

/** The runs as a table of any length: only what is near the screen exists. */
export function RunsTable(props: RunsTableProps) {
  const { runs, columns, sort, isNested, selected, drawn, hasMore, onSort, onSelect } = props
  const scroller = useRef<HTMLDivElement>(null)
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set())
  // Scrolling renders this sixty times a second, over up to ten thousand runs.
  const rows = useMemo(
    () => (isNested ? nestRuns(runs, collapsed) : flatRuns(runs)),
    [runs, isNested, collapsed],
  )
  const views = useMemo(() => viewColumns(columns, runs), [columns, runs])
  // oxlint-disable-next-line react/incompatible-library -- Its result stays in this component.
  const vertical = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 10,
  })
  const horizontal = useVirtualizer({
    horizontal: true,
    count: views.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => views[index]?.width ?? 0,
    overscan: 3,
  })
  const widths = views.map(({ width }) => width).join()
  useEffect(() => horizontal.measure(), [horizontal, widths])

  const items = vertical.getVirtualItems()
  const lastShown = items.at(-1)?.index ?? 0
  const isNearEnd = hasMore && lastShown > rows.length - AHEAD
  const { onNearEnd } = props
  useEffect(() => {
    if (isNearEnd) onNearEnd()
  }, [isNearEnd, onNearEnd, runs.length])

  const shown = horizontal.getVirtualItems()
  const from = shown[0]?.index ?? 0
  const to = (shown.at(-1)?.index ?? -1) + 1
  const before = shown[0]?.start ?? 0
  const after = horizontal.getTotalSize() - (shown.at(-1)?.end ?? 0)
  const window = useMemo(() => ({ from, to, before, after }), [from, to, before, after])
  const router = useRouter()
  const actions = useMemo<RowActions>(
    () => ({
      // Forty router links to render would cost as much as the rest of the table.
      hrefOf: ({ experiment_id, run_id }) =>
        `${basePath}/experiments/${encodeURIComponent(experiment_id)}/runs/${encodeURIComponent(run_id)}`,
      open: (event, { experiment_id, run_id }) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return
        event.preventDefault()
        const params = { experimentId: experiment_id, runId: run_id }
        void router.navigate({ to: '/experiments/$experimentId/runs/$runId', params })
      },
      select: (run_id, isSelected) => onSelect([run_id], isSelected),
      collapse: (run_id) => setCollapsed((before) => toggled(before, run_id)),
    }),
    [onSelect, router],
  )

  return (
    <div
      ref={scroller}
      className="runs-scroller"
      role="table"
      aria-label="Runs"
      aria-rowcount={hasMore ? -1 : rows.length + 1}
      tabIndex={0}
    >
      <div style={{ width: NAME + horizontal.getTotalSize(), minWidth: '100%' }}>
        <RunsTableHead
          columns={views}
          window={window}
          sort={sort}
          isAllSelected={runs.length > 0 && selected.size >= runs.length}
          onSort={onSort}
          onSelectAll={(isSelected) =>
            onSelect(
              runs.map(({ info }) => info.run_id),
              isSelected,
            )
          }
        />
        <div role="rowgroup" className="runs-body" style={{ height: vertical.getTotalSize() }}>
          {items.map((item) => {
            const row = rows[item.index]
            if (row === undefined) return null
            const { run_id } = row.run.info
            return (
              <RunTableRow
                key={run_id}
                row={row}
                index={item.index}
                top={item.start}
                columns={views}
                window={window}
                drawn={drawn.get(run_id)}
                isSelected={selected.has(run_id)}
                isCollapsed={collapsed.has(run_id)}
                actions={actions}
              />
            )
          })}
        </div>
      </div>
    </div>
  )
}

function toggled(ids: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const after = new Set(ids)
  if (!after.delete(id)) after.add(id)
  return after
}
