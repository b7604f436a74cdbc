import { ApiError } from '@millrace/api/errors'
import { useSuspenseQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useCallback, useMemo } from 'react'
import { Page } from '../../components/Page.tsx'
import { client, query, queryClient } from '../../query.ts'
import { DEFAULT_SORT } from '../../run-order.ts'
import { styleSeries } from '../../series-colours.ts'
import { useStoredState } from '../../ui/use-stored-state.ts'
import { compact } from '../../url-search.ts'
import { ColumnPicker } from './ColumnPicker.tsx'
import { ExperimentNote } from './ExperimentNote.tsx'
import { FilterBox } from './FilterBox.tsx'
import { Leader } from './Leader.tsx'
import { NoRuns } from './NoRuns.tsx'
import { RunCharts } from './RunCharts.tsx'
import { RunsTable } from './RunsTable.tsx'
import { RunsTools } from './RunsTools.tsx'
import { DRAWN_DEFAULT, type RunsSearch } from './runs-search.ts'
import { type ChangeSearch, drawnRuns, useColumns, useSame, useSelection } from './runs-state.ts'
import { SelectionBar } from './SelectionBar.tsx'
import { SplitHandle } from './SplitHandle.tsx'
import { useBestRun } from './use-best-run.ts'
import { useRuns } from './use-runs.ts'

const route = getRouteApi('/experiments/$experimentId')
const experimentQuery = (experiment_id: string) => query(client.experiments.get, { experiment_id })

export async function loader(experimentId: string) {
  await queryClient.ensureQueryData(experimentQuery(experimentId))
}

export function RunsPage() {
  const { experimentId } = route.useParams()
  const { experiment } = useSuspenseQuery(experimentQuery(experimentId)).data
  return (
    <Page
      above={[
        <Link key="all" to="/experiments">
          Experiments
        </Link>,
      ]}
      title={experiment.name}
      actions={<ExperimentNote experiment={experiment} />}
    >
      <Runs key={experimentId} experimentId={experimentId} />
    </Page>
  )
}

function Runs({ experimentId }: { experimentId: string }) {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const update = useCallback(
    (next: (before: RunsSearch) => RunsSearch) => void navigate({ search: next, replace: true }),
    [navigate],
  )
  const change: ChangeSearch = (part) => update((before) => compact({ ...before, ...part }))
  const { filter, sort, view } = search
  const question = {
    ...(filter !== undefined && { filter }),
    ...(sort !== undefined && { sort }),
    ...(view !== undefined && { view }),
  }
  const { runs, list } = useRuns(experimentId, question)
  const { metric, best } = useBestRun(experimentId, question, runs)
  const shape = useColumns(runs, search.columns)
  const selected = useSelection(search.selected, update)
  const drawn = useSame(
    drawnRuns(runs, selected.set, { count: search.drawn ?? DRAWN_DEFAULT, best }),
  )
  const drawnIds = drawn.map(({ info }) => info.run_id).join()
  const styles = useMemo(() => styleSeries(drawnIds.split(',')), [drawnIds])
  const [share, setShare] = useStoredState('table-share', '56')
  const { fetchNextPage, hasNextPage, isFetchingNextPage } = list
  const onNearEnd = useCallback(() => {
    if (hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [hasNextPage, isFetchingNextPage, fetchNextPage])
  const isEmpty = list.isSuccess && runs.length === 0
  const { layout } = search

  return (
    <>
      <div className="runs-tools">
        <FilterBox
          key={list.isError ? 'refused' : 'taken'}
          experimentId={experimentId}
          question={question}
          refusal={list.error}
          onFilter={(typed) => change({ filter: typed })}
        />
        <RunsTools search={search} onChange={change} />
        <ColumnPicker {...shape} onChange={(columns) => change({ columns })} />
      </div>
      {best !== undefined && metric !== undefined && (
        <Leader best={best} metric={metric} runs={runs} />
      )}
      {list.isError && (
        <main className="empty">
          <h2>The runs could not be listed</h2>
          <p>{list.error instanceof ApiError ? 'Mend the filter above.' : list.error.message}</p>
        </main>
      )}
      {!list.isError && isEmpty && (
        <NoRuns experimentId={experimentId} search={search} onChange={change} />
      )}
      {!list.isError && !isEmpty && (
        <main className="split">
          {layout !== 'charts' && (
            <div
              className="split-table"
              style={{ width: layout === 'table' ? '100%' : `${share}%` }}
            >
              <RunsTable
                runs={runs}
                columns={shape.shown}
                sort={sort ?? DEFAULT_SORT}
                isNested={
                  search.nesting !== 'flat' && (sort ?? DEFAULT_SORT).includes('attributes.')
                }
                selected={selected.set}
                drawn={styles}
                hasMore={hasNextPage}
                onSort={(next) => change({ sort: next === DEFAULT_SORT ? undefined : next })}
                onSelect={selected.select}
                onNearEnd={onNearEnd}
              />
              <footer className="runs-foot" role="status">
                {footText(runs.length, hasNextPage)}
              </footer>
            </div>
          )}
          {layout === undefined && (
            <SplitHandle share={Number(share)} onChange={(next) => setShare(String(next))} />
          )}
          {layout !== 'table' && (
            <RunCharts
              drawn={drawn}
              styles={styles}
              available={runs.length}
              isSelection={selected.ids.length > 0}
              search={search}
              onChange={change}
            />
          )}
        </main>
      )}
      {selected.ids.length > 0 && (
        <SelectionBar
          selected={selected.ids}
          isDeletedView={view === 'deleted'}
          onClear={() => change({ selected: undefined })}
        />
      )}
    </>
  )
}

function footText(count: number, hasMore: boolean): string {
  const shown = count.toLocaleString('en-US')
  if (hasMore) return `${shown} runs loaded, more follow as you scroll`
  return count === 1 ? '1 run' : `${shown} runs`
}
