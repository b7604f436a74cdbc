import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { client } from '../../query.ts'
import { DEFAULT_SORT, orderBy } from '../../run-order.ts'
import { toServerFilter } from './run-filter.ts'
import type { RunsSearch } from './runs-search.ts'

/** The first page is small, to be there at once and to be asked for again and again. */
export const HEAD = 100
const FURTHER = 400

export type RunsQuestion = Pick<RunsSearch, 'filter' | 'sort' | 'view'>

/** What `runs/search` is asked for a state of the page. */
export function searchInput(experimentId: string, { filter, sort, view }: RunsQuestion) {
  return {
    experiment_ids: [experimentId],
    filter: toServerFilter(filter ?? ''),
    order_by: orderBy(sort ?? DEFAULT_SORT) ?? [],
    run_view_type: view === 'deleted' ? 'DELETED_ONLY' : 'ACTIVE_ONLY',
  }
}

/** The runs of an experiment page by page. */
export function runsQuery(experimentId: string, question: RunsQuestion) {
  const input = searchInput(experimentId, question)
  return infiniteQueryOptions({
    queryKey: ['runs', input],
    queryFn: ({ pageParam, signal }) =>
      client.runs.search(
        pageParam === undefined
          ? { ...input, max_results: HEAD }
          : { ...input, max_results: FURTHER, page_token: pageParam },
        { signal },
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token,
    staleTime: Number.POSITIVE_INFINITY,
    // Comparing all loaded pages with each new one would cost more than it saves.
    structuralSharing: false,
  })
}

const LIVE_MS = 1500
/** Asking for news may take a server an eighth of its time, not more. */
const SHARE = 8

/** The first page again and again, for runs that begin, go on, end or go. */
export function headQuery(experimentId: string, question: RunsQuestion) {
  const input = { ...searchInput(experimentId, question), max_results: HEAD }
  let tookMs = 0
  return queryOptions({
    queryKey: ['runs-head', input],
    queryFn: async ({ signal }) => {
      const from = performance.now()
      const page = await client.runs.search(input, { signal })
      tookMs = performance.now() - from
      return page
    },
    refetchInterval: () => Math.max(LIVE_MS, tookMs * SHARE),
  })
}
