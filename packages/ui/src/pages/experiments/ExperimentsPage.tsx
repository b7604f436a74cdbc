import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { useState } from 'react'
import { Page } from '../../components/Page.tsx'
import { client, queryClient } from '../../query.ts'
import { quoteText } from '../../search-text.ts'
import { SearchBox } from '../../ui/SearchBox.tsx'
import { Segments } from '../../ui/Segments.tsx'
import { compact } from '../../url-search.ts'
import { ExperimentsTable } from './ExperimentsTable.tsx'
import { CreateExperiment } from './experiment-dialogs.tsx'
import type { ExperimentsSearch } from './experiments-search.ts'
import { NoExperiments } from './NoExperiments.tsx'

const PAGE = 100
const route = getRouteApi('/experiments')

const experimentsQuery = ({ name, view }: ExperimentsSearch) => ({
  queryKey: [client.experiments.search.endpoint.path, { name, view }],
  queryFn: ({ pageParam }: { pageParam: string | undefined }) =>
    client.experiments.search({
      max_results: PAGE,
      view_type: view === 'deleted' ? 'DELETED_ONLY' : 'ACTIVE_ONLY',
      order_by: ['last_update_time DESC'],
      ...(name !== undefined && { filter: `name ILIKE ${quoteText(`%${name}%`)}` }),
      ...(pageParam !== undefined && { page_token: pageParam }),
    }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (page: { next_page_token?: string | undefined }) => page.next_page_token,
})

export async function loader() {
  await queryClient.ensureInfiniteQueryData(experimentsQuery({}))
}

export function ExperimentsPage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const [isCreating, setCreating] = useState(false)
  const { data, hasNextPage, fetchNextPage, isFetchingNextPage } = useInfiniteQuery({
    ...experimentsQuery(search),
    placeholderData: keepPreviousData,
    throwOnError: (_error, { state }) => state.data === undefined,
    refetchInterval: 10_000,
  })
  const experiments = data?.pages.flatMap((page) => page.experiments ?? []) ?? []
  const isUntouched = experiments.every(({ name }) => name === 'Default')
  const isFiltered = search.name !== undefined || search.view !== undefined
  const change = (part: { [K in keyof ExperimentsSearch]?: ExperimentsSearch[K] | undefined }) =>
    navigate({ search: (before) => compact({ ...before, ...part }), replace: true })

  return (
    <Page
      title="Experiments"
      actions={
        <button type="button" className="button primary" onClick={() => setCreating(true)}>
          <Plus className="icon" aria-hidden />
          New experiment
        </button>
      }
    >
      <main className="page-body">
        <div className="list-tools">
          <SearchBox
            label="Search by name"
            value={search.name ?? ''}
            onSearch={(name) => change({ name })}
          />
          <Segments
            label="Which experiments"
            value={search.view ?? 'active'}
            options={[
              { value: 'active', label: 'Active' },
              { value: 'deleted', label: 'Deleted' },
            ]}
            onChange={(view) => change({ view: view === 'deleted' ? view : undefined })}
          />
        </div>
        {data && isUntouched && !isFiltered && <NoExperiments />}
        {experiments.length > 0 && (
          <ExperimentsTable experiments={experiments} isDeleted={search.view === 'deleted'} />
        )}
        {data && experiments.length === 0 && isFiltered && (
          <p className="empty muted">No experiment matches.</p>
        )}
        {hasNextPage && (
          <button
            type="button"
            className="button list-more"
            disabled={isFetchingNextPage}
            onClick={() => fetchNextPage()}
          >
            Show more
          </button>
        )}
        <CreateExperiment open={isCreating} onClose={() => setCreating(false)} />
      </main>
    </Page>
  )
}
