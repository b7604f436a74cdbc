import { sql } from 'kysely'
import type { Visibility } from '../auth/visibility.ts'
import type { Db } from '../db/dialect.ts'
import { keyNames } from '../db/key-names.ts'
import type { Comparison } from './filter.ts'
import type { RunOrder } from './order-by.ts'
import type { PageStart, PageTokenOwner } from './page-token.ts'
import { findRareRuns } from './rare-runs.ts'
import {
  queryRuns,
  type RunRow,
  type RunSearch,
  runSortPlan,
  type SortedRun,
} from './run-general-query.ts'
import { walkRunIndex } from './run-index-walk.ts'
import { readPage } from './sorted-page.ts'
import { stagesOf, type ViewType } from './view-type.ts'

/** Exports `searchRuns`: a page of runs. Metric summaries must be folded before it is called. */

export interface SearchRunsRequest {
  /** Internal ids of the experiments; without any there are no runs. */
  experiments: readonly number[]
  visibility: Visibility
  /** `parseFilter(filter, runGrammar)` */
  comparisons: readonly Comparison[]
  /** `parseRunOrderBy(order_by)`; ties are broken by start time, latest first, then run id. */
  orderBy: readonly RunOrder[]
  viewType: ViewType
  /** At least 1. */
  maxResults: number
  pageToken: string | undefined
}

/** One page; there is a token when more rows follow. */
export interface RunPage {
  runs: RunRow[]
  nextPageToken: string | undefined
}

/** Throws INVALID_PARAMETER_VALUE for a page token of another search. */
export async function searchRuns(db: Db, request: SearchRunsRequest): Promise<RunPage> {
  const { comparisons, orderBy } = request
  const experiments = [...new Set(request.experiments)].sort((a, b) => a - b)
  const stages = stagesOf(request.viewType)
  const owner: PageTokenOwner = {
    entity: 'runs',
    request: { experiments, stages, comparisons, orderBy },
    columns: runSortPlan({ order: orderBy, keyIds: new Map() }).columns.map(({ type }) => type),
  }
  const { rows, nextPageToken } = await readPage<RunRow>(
    { owner, pageToken: request.pageToken, maxResults: request.maxResults },
    async (start, limit) => {
      if (experiments.length === 0) return []
      const search: RunSearch = {
        experiments,
        stages,
        comparisons,
        order: orderBy,
        keyIds: await keyNames(db).find(db, namesIn(comparisons, orderBy)),
        visible: request.visibility(sql.ref<number>('run.experiment')),
      }
      return readRuns(db, search, start, limit)
    },
  )
  return { runs: rows, nextPageToken }
}

/** The cheapest way that applies; all of them find the same. */
async function readRuns(
  db: Db,
  search: RunSearch,
  start: PageStart,
  limit: number,
): Promise<SortedRun[]> {
  const ids = await findRareRuns(db, search)
  if (ids !== undefined) {
    return ids.length === 0 ? [] : queryRuns(db, search, { start, limit, among: { ids } })
  }
  if (start === undefined || 'after' in start) {
    const walked = await walkRunIndex(db, search, start?.after, limit)
    if (walked !== undefined) return walked
  }
  return queryRuns(db, search, { start, limit })
}

function namesIn(comparisons: readonly Comparison[], order: readonly RunOrder[]): Set<string> {
  return new Set(
    [...comparisons, ...order].flatMap(({ kind, key }) =>
      kind === 'metric' || kind === 'param' || kind === 'tag' ? [key] : [],
    ),
  )
}
