import type { Run } from '@millrace/api/runs'
import { Link } from '@tanstack/react-router'
import type { CSSProperties } from 'react'
import { formatNumber } from '../../format.ts'
import { varyingColumns } from '../../run-columns.ts'
import { valuesOf } from '../../run-values.ts'
import { colourOf } from '../../series-colours.ts'

interface LeaderProps {
  best: Run
  metric: string
  runs: readonly Run[]
}

const PARAMS = 6

/** The best run of all that match, by the metric that matters, and what it was run with. */
export function Leader({ best, metric, runs }: LeaderProps) {
  const value = valuesOf(best).metrics.get(metric)
  if (value === undefined) return null
  const differing = varyingColumns(runs)
    .filter(({ kind, key }) => kind === 'param' && valuesOf(best).params.has(key))
    .slice(0, PARAMS)
  return (
    <section className="leader" aria-label="Best run">
      <span>
        <span className="muted">Best {metric} </span>
        <b className="number" title={String(value)}>
          {formatNumber(value)}
        </b>
      </span>
      <span
        className="run-dot"
        data-drawn
        style={{ '--colour': colourOf(best.info.run_id) } as CSSProperties}
      />
      <Link
        to="/experiments/$experimentId/runs/$runId"
        params={{ experimentId: best.info.experiment_id, runId: best.info.run_id }}
      >
        {best.info.run_name}
      </Link>
      <span className="leader-params">
        {differing.map(({ key }) => (
          <span key={key} className="chip" title={`${key}: ${valuesOf(best).params.get(key)}`}>
            <span className="muted">{key}</span>
            <span>{valuesOf(best).params.get(key)?.slice(0, 40)}</span>
          </span>
        ))}
      </span>
    </section>
  )
}
