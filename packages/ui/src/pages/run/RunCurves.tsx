import type { Run } from '@millrace/api/runs'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { ChartGrid } from '../../components/ChartGrid.tsx'
import { ChartTools } from '../../components/ChartTools.tsx'
import { sectionsOf } from '../../components/chart-runs.ts'
import { styleSeries } from '../../series-colours.ts'
import { childrenQuery } from './children-query.ts'
import type { RunSearch } from './run-search.ts'

interface RunCurvesProps {
  run: Run
  settings: RunSearch
  onChange: (part: { [K in keyof RunSearch]?: RunSearch[K] | undefined }) => void
}

/** The curves of a run; of its children when it has none of its own. */
export function RunCurves({ run, settings, onChange }: RunCurvesProps) {
  const hasOwn = sectionsOf([run]).length > 0
  const { data } = useQuery({ ...childrenQuery(run), enabled: !hasOwn })
  const children = data?.runs
  const drawn = useMemo(() => (hasOwn ? [run] : (children ?? [])), [hasOwn, run, children])
  const styles = useMemo(() => styleSeries(drawn.map(({ info }) => info.run_id)), [drawn])
  if (drawn.length === 0) {
    return <p className="empty muted">There is no curve of this run to draw.</p>
  }
  return (
    <>
      <div className="charts-head">
        <ChartTools settings={settings} onChange={onChange} />
        {!hasOwn && <span className="muted">The {drawn.length} children of this run</span>}
      </div>
      <ChartGrid runs={drawn} styles={styles} settings={settings} />
    </>
  )
}
