import type { Run } from '@millrace/api/runs'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { formatNumber } from '../../format.ts'
import { directionOf } from '../../metric-names.ts'
import { client, query } from '../../query.ts'
import { column, mainMetric, varyingColumns } from '../../run-columns.ts'
import { orderBy } from '../../run-order.ts'
import { valuesOf } from '../../run-values.ts'
import { type RunsQuestion, searchInput } from './runs-query.ts'

interface LeaderProps {
  experimentId: string
  question: RunsQuestion
  runs: readonly Run[]
}

const PARAMS = 6

/** The best run of all that match, by the metric that matters, and what it was run with. */
export function Leader({ experimentId, question, runs }: LeaderProps) {
  const metric = mainMetric(runs)
  const direction = metric === undefined ? undefined : directionOf(metric)
  const sign = direction === 'higher' ? '-' : ''
  const { data } = useQuery({
    ...query(client.runs.search, {
      ...searchInput(experimentId, question),
      order_by: orderBy(`${sign}${column('metric', metric ?? '').id}`) ?? [],
      max_results: 1,
    }),
    enabled: direction !== undefined && runs.length > 1,
    placeholderData: keepPreviousData,
    refetchInterval: 5000,
  })
  const best = data?.runs?.[0]
  if (best === undefined || metric === undefined) return null
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
