import type { Run } from '@millrace/api/runs'
import { ChartGrid } from '../../components/ChartGrid.tsx'
import { ChartTools } from '../../components/ChartTools.tsx'
import type { SeriesStyle } from '../../series-colours.ts'
import { DRAWN_MAX, type RunsSearch } from './runs-search.ts'
import type { ChangeSearch } from './runs-state.ts'

interface RunChartsProps {
  drawn: readonly Run[]
  styles: ReadonlyMap<string, SeriesStyle>
  available: number
  isSelection: boolean
  search: RunsSearch
  onChange: ChangeSearch
}

/** The charts beside the table: of the selected runs, or of the first ones. */
export function RunCharts(props: RunChartsProps) {
  const { drawn, styles, available, isSelection, search, onChange } = props
  const next = Math.min(available, drawn.length * 3, DRAWN_MAX)
  return (
    <aside className="split-charts" aria-label="Charts">
      <div className="charts-head">
        <ChartTools settings={search} onChange={onChange} />
        <span className="muted">
          {isSelection ? `${drawn.length} selected` : `${drawn.length} of ${available} runs drawn`}{' '}
          {!isSelection && next > drawn.length && (
            <button
              type="button"
              className="button small"
              onClick={() => onChange({ drawn: next })}
            >
              Draw {next}
            </button>
          )}
        </span>
      </div>
      <ChartGrid runs={drawn} styles={styles} settings={search} />
    </aside>
  )
}
