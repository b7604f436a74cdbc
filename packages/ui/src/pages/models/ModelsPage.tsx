import type { RegisteredModel } from '@millrace/api/registered-models'
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Page } from '../../components/Page.tsx'
import { Stage } from '../../components/Stage.tsx'
import { TagChips } from '../../components/TagChips.tsx'
import { client, queryClient } from '../../query.ts'
import { quoteText } from '../../search-text.ts'
import { SearchBox } from '../../ui/SearchBox.tsx'
import { Time } from '../../ui/Time.tsx'
import { NoModels } from './NoModels.tsx'
import '../../ui/list-table.css'
import './models.css'

const PAGE = 100
const route = getRouteApi('/models')

const modelsQuery = (name: string | undefined) => ({
  queryKey: [client.registeredModels.search.endpoint.path, { name }],
  queryFn: ({ pageParam }: { pageParam: string | undefined }) =>
    client.registeredModels.search({
      max_results: PAGE,
      ...(name !== undefined && { filter: `name ILIKE ${quoteText(`%${name}%`)}` }),
      ...(pageParam !== undefined && { page_token: pageParam }),
    }),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (page: { next_page_token?: string | undefined }) => page.next_page_token,
})

export async function loader() {
  await queryClient.ensureInfiniteQueryData(modelsQuery(undefined))
}

export function ModelsPage() {
  const { name } = route.useSearch()
  const navigate = route.useNavigate()
  const { data, hasNextPage, fetchNextPage } = useInfiniteQuery({
    ...modelsQuery(name),
    placeholderData: keepPreviousData,
    throwOnError: (_error, { state }) => state.data === undefined,
    refetchInterval: 10_000,
  })
  const models = data?.pages.flatMap((page) => page.registered_models ?? []) ?? []
  return (
    <Page title="Models">
      <main className="page-body">
        <div className="list-tools">
          <SearchBox
            label="Search by name"
            value={name ?? ''}
            onSearch={(text) =>
              navigate({ search: text === '' ? {} : { name: text }, replace: true })
            }
          />
        </div>
        {models.length > 0 && <ModelsTable models={models} />}
        {data && models.length === 0 && name === undefined && <NoModels />}
        {data && models.length === 0 && name !== undefined && (
          <p className="empty muted">No model matches “{name}”.</p>
        )}
        {hasNextPage && (
          <button type="button" className="button list-more" onClick={() => fetchNextPage()}>
            Show more
          </button>
        )}
      </main>
    </Page>
  )
}

function ModelsTable({ models }: { models: readonly RegisteredModel[] }) {
  return (
    <table className="list-table">
      <thead>
        <tr>
          <th>Name</th>
          <th>Latest</th>
          <th>Aliases and stages</th>
          <th>Tags</th>
          <th>Changed</th>
        </tr>
      </thead>
      <tbody>
        {models.map((model) => (
          <ModelRow key={model.name} model={model} />
        ))}
      </tbody>
    </table>
  )
}

function ModelRow({ model }: { model: RegisteredModel }) {
  const { name, aliases = [], latest_versions = [], tags = [], last_updated_timestamp } = model
  const latest = Math.max(0, ...latest_versions.map(({ version }) => Number(version)))
  return (
    <tr>
      <td className="list-name">
        <Link to="/models/$name" params={{ name }}>
          {name}
        </Link>
      </td>
      <td>
        {latest > 0 && (
          <Link to="/models/$name/versions/$version" params={{ name, version: String(latest) }}>
            version {latest}
          </Link>
        )}
      </td>
      <td>
        <span className="chips">
          {aliases.map(({ alias, version }) => (
            <span key={alias} className="chip">
              <span>@{alias}</span>
              <span className="muted">{version}</span>
            </span>
          ))}
          {latest_versions.map(({ version, current_stage }) => (
            <Stage key={version} stage={current_stage} version={version} />
          ))}
        </span>
      </td>
      <td>
        <TagChips tags={tags} />
      </td>
      <td className="muted">
        <Time at={last_updated_timestamp} />
      </td>
    </tr>
  )
}
