import type { Run } from '@millrace/api/runs'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { directionOf } from '../../metric-names.ts'
import { client, query } from '../../query.ts'
import { column, mainMetric } from '../../run-columns.ts'
import { orderBy } from '../../run-order.ts'
import { type RunsQuestion, searchInput } from './runs-query.ts'

const RENEW_MS = 5000

/** The best of all matching runs, loaded or not, by the metric that the loaded ones are judged by. */
export function useBestRun(experimentId: string, question: RunsQuestion, runs: readonly Run[]) {
  const metric = mainMetric(runs.slice(0, 100))
  const direction = metric === undefined ? undefined : directionOf(metric)
  const sign = direction === 'higher' ? '-' : ''
  const { data } = useQuery({
    ...query(client.runs.search, {
      ...searchInput(experimentId, question),
      order_by: orderBy(`${sign}${column('metric', metric ?? '').id}`) ?? [],
      max_results: 1,
    }),
    enabled: direction !== undefined && runs.length > 1 && question.view === undefined,
    placeholderData: keepPreviousData,
    refetchInterval: RENEW_MS,
  })
  const best = runs.length > 1 ? data?.runs?.[0] : undefined
  return { metric, best }
}
