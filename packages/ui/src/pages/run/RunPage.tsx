import { useQuery, useSuspenseQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { ArtifactBrowser } from '../../components/artifacts/ArtifactBrowser.tsx'
import { Page } from '../../components/Page.tsx'
import { client, query, queryClient } from '../../query.ts'
import { compact } from '../../url-search.ts'
import { RunActions } from './RunActions.tsx'
import { RunIdentity } from './RunIdentity.tsx'
import { RunOverview } from './RunOverview.tsx'
import type { RunSearch } from './run-search.ts'
import './run-page.css'

const route = getRouteApi('/experiments/$experimentId/runs/$runId')
const LIVE_MS = 2000
/** The tabs share a path; only the search tells which one is shown. */
const EXACTLY = { exact: true, includeSearch: true }

export const runQuery = (run_id: string) => query(client.runs.get, { run_id })

export async function loader(runId: string) {
  await queryClient.ensureQueryData(runQuery(runId))
}

export function RunPage() {
  const { runId } = route.useParams()
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const { run } = useSuspenseQuery({
    ...runQuery(runId),
    refetchInterval: ({ state }) => (state.data?.run.info.status === 'RUNNING' ? LIVE_MS : false),
  }).data
  const { experiment_id } = run.info
  const { data: found } = useQuery(query(client.experiments.get, { experiment_id }))
  const change = (part: { [K in keyof RunSearch]?: RunSearch[K] | undefined }) =>
    void navigate({ search: (before) => compact({ ...before, ...part }), replace: true })

  return (
    <Page
      above={[
        <Link key="all" to="/experiments">
          Experiments
        </Link>,
        <Link
          key="experiment"
          to="/experiments/$experimentId"
          params={{ experimentId: experiment_id }}
        >
          {found?.experiment.name ?? experiment_id}
        </Link>,
      ]}
      title={run.info.run_name}
      actions={<RunActions run={run} />}
    >
      <RunIdentity run={run} />
      <nav className="tabs" aria-label="Parts of the run">
        <Link
          from="/experiments/$experimentId/runs/$runId"
          to="."
          search={({ tab: _tab, path: _path, ...rest }) => rest}
          activeOptions={EXACTLY}
        >
          Overview
        </Link>
        <Link
          from="/experiments/$experimentId/runs/$runId"
          to="."
          search={(before) => ({ ...before, tab: 'artifacts' as const })}
          activeOptions={EXACTLY}
        >
          Artifacts
        </Link>
      </nav>
      <main className="page-body">
        {search.tab === 'artifacts' ? (
          <ArtifactBrowser
            source={{ kind: 'run', run_id: run.info.run_id }}
            path={search.path}
            onOpen={(path) => change({ path })}
          />
        ) : (
          <RunOverview run={run} settings={search} onChange={change} />
        )}
      </main>
    </Page>
  )
}
