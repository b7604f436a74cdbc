import { useInfiniteQuery, useSuspenseQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Note } from '../../components/Note.tsx'
import { Page } from '../../components/Page.tsx'
import { TagEditor } from '../../components/TagEditor.tsx'
import { client, query, queryClient } from '../../query.ts'
import { quoteText } from '../../search-text.ts'
import { ModelActions } from './ModelActions.tsx'
import { VersionsTable } from './VersionsTable.tsx'
import '../../ui/list-table.css'
import './models.css'

const PAGE = 100
const route = getRouteApi('/models/$name')
const modelQuery = (name: string) => query(client.registeredModels.get, { name })

export async function loader(name: string) {
  await queryClient.ensureQueryData(modelQuery(name))
}

export function ModelPage() {
  const { name } = route.useParams()
  const { registered_model: model } = useSuspenseQuery(modelQuery(name)).data
  const { data, hasNextPage, fetchNextPage } = useInfiniteQuery({
    queryKey: [client.modelVersions.search.endpoint.path, name],
    queryFn: ({ pageParam }) =>
      client.modelVersions.search({
        filter: `name = ${quoteText(name)}`,
        order_by: ['version_number DESC'],
        max_results: PAGE,
        ...(pageParam !== undefined && { page_token: pageParam }),
      }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_page_token,
    refetchInterval: 10_000,
  })
  const versions = data?.pages.flatMap((page) => page.model_versions ?? []) ?? []
  return (
    <Page
      above={[
        <Link key="all" to="/models">
          Models
        </Link>,
      ]}
      title={name}
      actions={<ModelActions name={name} />}
    >
      <main className="page-body model-body">
        <div>
          <Note
            text={model.description ?? ''}
            name="description"
            onSave={(description) => client.registeredModels.update({ name, description })}
          />
          {data && versions.length === 0 && (
            <p className="empty muted">This model has no versions yet.</p>
          )}
          {versions.length > 0 && (
            <VersionsTable versions={versions} aliases={model.aliases ?? []} />
          )}
          {hasNextPage && (
            <button type="button" className="button list-more" onClick={() => fetchNextPage()}>
              Show older versions
            </button>
          )}
        </div>
        <aside className="model-side" aria-label="Details">
          <TagEditor
            tags={(model.tags ?? []).map(({ key, value }) => [key, value] as const)}
            onSet={(key, value) => client.registeredModels.setTag({ name, key, value })}
            onDelete={(key) => client.registeredModels.deleteTag({ name, key })}
          />
        </aside>
      </main>
    </Page>
  )
}
