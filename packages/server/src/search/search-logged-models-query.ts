import { invalid } from '@millrace/api/errors'
import { type Selectable, type SqlBool, sql } from 'kysely'
import type { Visibility } from '../auth/visibility.ts'
import type { Db } from '../db/dialect.ts'
import { type LoggedModelTable, STAGE_ACTIVE } from '../db/schema.ts'
import { parseFilter } from './filter.ts'
import { loggedModelGrammar } from './grammar-logged-models.ts'
import {
  type DatasetFilter,
  type DatasetRestriction,
  loggedModelConditions,
} from './logged-model-conditions.ts'
import { loggedModelSort } from './logged-model-sort.ts'
import { type LoggedModelOrderInput, parseLoggedModelOrderBy } from './order-by.ts'
import { type Page, readPage, readSortedRows } from './sorted-page.ts'
import { isOneOf } from './test-conditions.ts'

/**
 * Exports `searchLoggedModelsQuery`: a page of logged models that are not in the bin. Source:
 * MLflow 3.17 `SqlAlchemyStore.search_logged_models`.
 */

export interface SearchLoggedModelsRequest {
  /** Internal ids of the experiments; without any there are no models. */
  experiments: readonly number[]
  visibility: Visibility
  filter: string | undefined
  /** Only metrics that were logged on one of these count; models must have such a metric. */
  datasets: readonly DatasetRestriction[] | undefined
  /** By default latest created first; ties are broken so and by model id. */
  orderBy: readonly LoggedModelOrderInput[] | undefined
  /** At least 1. */
  maxResults: number
  pageToken: string | undefined
}

/** Throws INVALID_PARAMETER_VALUE for what it cannot read. */
export function searchLoggedModelsQuery(
  db: Db,
  request: SearchLoggedModelsRequest,
): Promise<Page<Selectable<LoggedModelTable>>> {
  const { maxResults, pageToken } = request
  const experiments = [...new Set(request.experiments)].sort((a, b) => a - b)
  const comparisons = parseFilter(request.filter, loggedModelGrammar)
  const datasets = (request.datasets ?? []).map(toDatasetFilter)
  const order = parseLoggedModelOrderBy(request.orderBy)
  const { columns, joins } = loggedModelSort(order, experiments)
  const owner = {
    entity: 'logged models',
    request: { experiments, comparisons, datasets, order },
    columns: columns.map(({ type }) => type),
  }
  return readPage({ owner, pageToken, maxResults }, async (start, limit) => {
    if (experiments.length === 0) return []
    return readSortedRows(db, {
      select: sql`${sql.table('logged_model')}.*`,
      from: sql`${sql.table('logged_model')} ${sql.join(joins, sql` `)}`,
      where: [
        isOneOf(sql.ref('logged_model.experiment'), experiments),
        sql<SqlBool>`${sql.ref('logged_model.stage')} = ${STAGE_ACTIVE}`,
        ...loggedModelConditions(comparisons, datasets),
        request.visibility(sql.ref<number>('logged_model.experiment')),
      ],
      sort: columns,
      start,
      limit,
    })
  })
}

const DATASETS_MAX = 100

function toDatasetFilter(
  { dataset_name, dataset_digest }: DatasetRestriction,
  index: number,
): DatasetFilter {
  if (!dataset_name) {
    throw invalid('`dataset_name` in the `datasets` clause must be specified.')
  }
  if (index >= DATASETS_MAX) {
    throw invalid(`Invalid \`datasets\`: at most ${DATASETS_MAX} are allowed.`)
  }
  return { dataset_name, dataset_digest: dataset_digest || undefined }
}
