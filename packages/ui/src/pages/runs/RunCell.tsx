import type { Run } from '@millrace/api/runs'
import type { CSSProperties } from 'react'
import { formatDuration } from '../../format.ts'
import { durationOf, valuesOf } from '../../run-values.ts'
import { Time } from '../../ui/Time.tsx'
import { useNow } from '../../ui/use-now.ts'
import type { ColumnView } from './column-views.ts'

/** What a run has in a column; nothing when it has nothing. */
export function RunCell({ run, view }: { run: Run; view: ColumnView }) {
  if (view.kind === 'metric') return <MetricValue run={run} view={view} />
  if (view.kind === 'attribute') return <Attribute run={run} name={view.key} />
  const values = view.kind === 'param' ? valuesOf(run).params : valuesOf(run).tags
  const text = values.get(view.key)
  if (text === undefined) return null
  // A cell shows what fits; ten thousand characters would only slow the layout down.
  return <span title={text.slice(0, 2000)}>{text.slice(0, 80)}</span>
}

function MetricValue({ run, view }: { run: Run; view: ColumnView }) {
  const value = valuesOf(run).metrics.get(view.key)
  if (value === undefined) return null
  const isBest = value === view.best
  return (
    <span
      className={isBest ? 'metric best' : 'metric'}
      title={isBest ? `${value}, the best of the loaded runs` : String(value)}
      style={{ '--heat': view.heat(value).toFixed(3) } as CSSProperties}
    >
      {view.format(value)}
    </span>
  )
}

function Attribute({ run, name }: { run: Run; name: string }) {
  if (name === 'start_time') return <Time at={run.info.start_time} />
  if (name === 'duration') return <Duration run={run} />
  if (name === 'user_id') return run.info.user_id
  if (name === 'run_id') return <span className="mono">{run.info.run_id}</span>
  const source = valuesOf(run).tags.get('mlflow.source.name') ?? ''
  return <span title={source}>{source.split('/').at(-1)}</span>
}

function Duration({ run }: { run: Run }) {
  const duration = durationOf(run, useNow())
  return duration === undefined ? null : formatDuration(duration)
}
