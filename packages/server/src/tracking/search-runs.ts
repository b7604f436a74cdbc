import type { Api } from '@millrace/api/api'
import { invalid } from '@millrace/api/errors'
import { RUNS_PAGE_MAX } from '@millrace/api/runs'
import type { z } from 'zod'
import { visibleExperiments } from '../auth/visibility.ts'
import type { Db } from '../db/dialect.ts'
import { JsonText, type RequestContext } from '../handlers.ts'
import { parseFilter } from '../search/filter.ts'
import { runGrammar } from '../search/grammar-runs.ts'
import { parseRunOrderBy } from '../search/order-by.ts'
import { searchRuns as queryRuns } from '../search/search-runs-query.ts'
import { parseExperimentId } from './experiment-store.ts'
import { readRunJson } from './run-reading.ts'

const PAGE_DEFAULT = 1000

/** `runs/search`: a page of runs, each as the JSON text that is kept of it. */
export async function searchRuns(
  { db, caller, fold }: RequestContext,
  input: z.output<Api['runs']['search']['input']>,
): Promise<JsonText> {
  const maxResults = Number(input.max_results ?? PAGE_DEFAULT)
  if (maxResults < 1 || maxResults > RUNS_PAGE_MAX) {
    throw invalid(
      `Invalid value ${maxResults} for parameter 'max_results' supplied. It must be a positive integer no larger than ${RUNS_PAGE_MAX}.`,
    )
  }
  const experiments = (input.experiment_ids ?? []).map(parseExperimentId)
  const comparisons = parseFilter(input.filter, runGrammar)
  const orderBy = parseRunOrderBy(input.order_by)
  // Which runs are on the page depends on metrics only where the question names one; else the few
  // runs of the page are folded rather than all of an experiment.
  const asksMetrics = [...comparisons, ...orderBy].some(({ kind }) => kind === 'metric')
  if (asksMetrics) await fold(await listUnfolded(db, 'experiment', experiments))

  const { runs, nextPageToken } = await queryRuns(db, {
    experiments,
    visibility: visibleExperiments(caller),
    comparisons,
    orderBy,
    viewType: input.run_view_type ?? 'ACTIVE_ONLY',
    maxResults,
    pageToken: input.page_token,
  })
  if (!asksMetrics) {
    const ids = runs.map(({ id }) => id)
    await fold(await listUnfolded(db, 'run', ids))
  }
  const texts: string[] = []
  for (const run of runs) texts.push(await readRunJson(db, run))
  const token =
    nextPageToken === undefined ? '' : `"next_page_token":${JSON.stringify(nextPageToken)}`
  const list = texts.length === 0 ? '' : `"runs":[${texts.join(',')}]`
  return new JsonText(`{${[list, token].filter(Boolean).join(',')}}`)
}

/** Those among some runs, or all of some experiments, whose latest metrics are not summarised yet. */
async function listUnfolded(
  db: Db,
  column: 'experiment' | 'run',
  ids: readonly number[],
): Promise<number[]> {
  const runs: number[] = []
  for (let from = 0; from < ids.length; from += IDS_PER_QUERY) {
    const rows = await db
      .selectFrom('metric_tail')
      .select('run')
      .distinct()
      .where(column, 'in', ids.slice(from, from + IDS_PER_QUERY))
      .where('folded', '=', 0)
      .execute()
    runs.push(...rows.map(({ run }) => run))
  }
  return runs
}

/** SQLite takes at most 32,766 parameters in a statement. */
const IDS_PER_QUERY = 10_000
