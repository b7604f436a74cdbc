import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { askPlane } from '../../query.ts'

const LIVE_MS = 1500

/** Pages of a list of the control plane whose names hold a text, renewed all the time. */
export function usePlaneList<List extends { nextToken?: string }>(path: string, text: string) {
  // Names have nothing else in them.
  const contains = text.replaceAll(/[^a-zA-Z0-9-]/g, '')
  return useInfiniteQuery({
    queryKey: ['plane', path, contains],
    queryFn: ({ pageParam, signal }) => {
      const search = new URLSearchParams({
        ...(contains !== '' && { contains }),
        ...(pageParam !== undefined && { next: pageParam }),
      })
      return askPlane<List>(`${path}?${search}`, { signal })
    },
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextToken,
    placeholderData: keepPreviousData,
    throwOnError: (_error, { state }) => state.data === undefined,
    refetchInterval: LIVE_MS,
  })
}
