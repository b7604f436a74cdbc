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
import { listUnfolded, readRunTexts } from './run-reading.ts'

const PAGE_DEFAULT = 1000

/** `runs/search`: a page of runs, each as the JSON text that is kept of it. */
export async function searchRuns(
  { db, snapshot, caller, fold }: RequestContext,
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
  // Which runs are on the page depends on metrics only where the question names one.
  const asksMetrics = [...comparisons, ...orderBy].some(({ kind }) => kind === 'metric')
  if (asksMetrics) await fold(await listUnfolded(db, experiments))

  const { texts, nextPageToken } = await snapshot((db) =>
    readPage(db, {
      experiments,
      visibility: visibleExperiments(caller),
      comparisons,
      orderBy,
      viewType: input.run_view_type ?? 'ACTIVE_ONLY',
      maxResults,
      pageToken: input.page_token,
    }),
  )
  const token =
    nextPageToken === undefined ? '' : `"next_page_token":${JSON.stringify(nextPageToken)}`
  const list = texts.length === 0 ? '' : `"runs":[${texts.join(',')}]`
  return new JsonText(`{${[list, token].filter(Boolean).join(',')}}`)
}

async function readPage(db: Db, search: Parameters<typeof queryRuns>[1]) {
  const { runs, nextPageToken } = await queryRuns(db, search)
  return { texts: await readRunTexts(db, runs), nextPageToken }
}
