import { useQueries } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { ChartGrid } from '../../components/ChartGrid.tsx'
import { ChartTools } from '../../components/ChartTools.tsx'
import { Page } from '../../components/Page.tsx'
import { client, query, queryClient } from '../../query.ts'
import { styleSeries } from '../../series-colours.ts'
import { Segments } from '../../ui/Segments.tsx'
import { compact, idsParam } from '../../url-search.ts'
import { CompareTable } from './CompareTable.tsx'
import type { CompareSearch } from './compare-search.ts'
import './compare.css'

const route = getRouteApi('/compare')
const runQuery = (run_id: string) => query(client.runs.get, { run_id })

export async function loader(runs: string | undefined) {
  const ids = idsParam(runs) ?? []
  await Promise.allSettled(ids.map((run_id) => queryClient.ensureQueryData(runQuery(run_id))))
}

export function ComparePage() {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const ids = idsParam(search.runs) ?? []
  const answers = useQueries({ queries: ids.map(runQuery) })
  const runs = answers.flatMap(({ data }) => (data ? [data.run] : []))
  const missing = ids.filter((_, index) => answers[index]?.isError)
  const baseline = runs.find(({ info }) => info.run_id === search.baseline) ?? runs[0]
  const change = (part: { [K in keyof CompareSearch]?: CompareSearch[K] | undefined }) =>
    void navigate({ search: (before) => compact({ ...before, ...part }), replace: true })
  const experiments = [...new Set(runs.map(({ info }) => info.experiment_id))]
  const styles = styleSeries(runs.map(({ info }) => info.run_id))

  return (
    <Page
      above={[
        <Link key="all" to="/experiments">
          Experiments
        </Link>,
        ...experiments.map((experimentId) => (
          <ExperimentLink key={experimentId} experimentId={experimentId} />
        )),
      ]}
      title={runs.length === 1 ? 'Compare 1 run' : `Compare ${runs.length} runs`}
      actions={
        <Segments
          label="What is shown"
          value={search.show ?? 'differences'}
          options={[
            { value: 'differences', label: 'Only differences' },
            { value: 'all', label: 'All' },
          ]}
          onChange={(show) => change({ show: show === 'all' ? show : undefined })}
        />
      }
    >
      <main className="page-body">
        {missing.length > 0 && (
          <p role="alert" className="notice">
            {missing.length === 1 ? 'This run does' : 'These runs do'} not exist, or you may not see
            it: {missing.join(', ')}
          </p>
        )}
        {baseline === undefined ? (
          <NothingToCompare />
        ) : (
          <>
            <CompareTable
              runs={runs}
              baseline={baseline}
              styles={styles}
              showsAll={search.show === 'all'}
              onBaseline={(run_id) => change({ baseline: run_id })}
              onRemove={(run_id) => change({ runs: ids.filter((id) => id !== run_id).join(',') })}
            />
            <div className="charts-head">
              <ChartTools settings={search} onChange={change} />
            </div>
            <ChartGrid runs={runs} styles={styles} settings={search} />
          </>
        )}
      </main>
    </Page>
  )
}

function ExperimentLink({ experimentId }: { experimentId: string }) {
  const [{ data }] = useQueries({
    queries: [query(client.experiments.get, { experiment_id: experimentId })],
  })
  return (
    <Link to="/experiments/$experimentId" params={{ experimentId }}>
      {data?.experiment.name ?? experimentId}
    </Link>
  )
}

function NothingToCompare() {
  return (
    <section className="empty">
      <h2>No runs to compare</h2>
      <p>Tick two runs or more in an experiment, then choose “Compare”.</p>
      <Link to="/experiments" className="button">
        All experiments
      </Link>
    </section>
  )
}
