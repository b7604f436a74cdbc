import { keepPreviousData, useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { mergeHead, type RunPage } from '../../merge-head.ts'
import type { client } from '../../query.ts'
import { headQuery, type RunsQuestion, runsQuery } from './runs-query.ts'

/** The runs that are loaded so far; the first page is renewed all the time. */
export function useRuns(experimentId: string, question: RunsQuestion) {
  const list = useInfiniteQuery({
    ...runsQuery(experimentId, question),
    placeholderData: keepPreviousData,
  })
  const isOwn = list.isSuccess && !list.isPlaceholderData
  const head = useQuery({ ...headQuery(experimentId, question), enabled: isOwn })
  const pages = list.data?.pages
  const fresh = isOwn ? head.data : undefined
  // The table compares this array to know whether anything changed.
  const runs = useMemo(
    () => mergeHead(fresh && toRunPage(fresh), (pages ?? []).map(toRunPage)),
    [pages, fresh],
  )
  return { list, runs }
}

function toRunPage(page: Awaited<ReturnType<typeof client.runs.search>>): RunPage {
  return { runs: page.runs ?? [], hasMore: page.next_page_token !== undefined }
}
