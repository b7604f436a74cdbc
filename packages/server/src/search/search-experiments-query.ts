import { type Expression, type Selectable, type SqlBool, sql } from 'kysely'
import type { Visibility } from '../auth/visibility.ts'
import type { Db } from '../db/dialect.ts'
import type { ExperimentTable } from '../db/schema.ts'
import { entryCondition } from './entry-conditions.ts'
import { type ListTest, parseFilter, type TextTest } from './filter.ts'
import { type ExperimentComparison, experimentGrammar } from './grammar-experiments.ts'
import { type ExperimentOrder, parseExperimentOrderBy } from './order-by.ts'
import type { SortColumn } from './sort-columns.ts'
import { type Page, readPage, readSortedRows } from './sorted-page.ts'
import { integerCondition, isOneOf, textCondition } from './test-conditions.ts'
import { stagesOf, type ViewType } from './view-type.ts'

/**
 * Exports `searchExperimentsQuery`: a page of experiments. Source: MLflow 3.17
 * `SqlAlchemyStore._search_experiments`.
 */

export interface SearchExperimentsRequest {
  visibility: Visibility
  workspace: string
  filter: string | undefined
  /** By default latest created first; ties are broken by id, highest first. */
  orderBy: readonly string[] | undefined
  viewType: ViewType
  /** At least 1. */
  maxResults: number
  pageToken: string | undefined
}

/** Throws INVALID_PARAMETER_VALUE for what it cannot read. */
export function searchExperimentsQuery(
  db: Db,
  request: SearchExperimentsRequest,
): Promise<Page<Selectable<ExperimentTable>>> {
  const { workspace, maxResults, pageToken } = request
  const comparisons = parseFilter(request.filter, experimentGrammar)
  const order = parseExperimentOrderBy(request.orderBy)
  const stages = stagesOf(request.viewType)
  const sort = experimentSort(order)
  const owner = {
    entity: 'experiments',
    request: { workspace, stages, comparisons, order },
    columns: sort.map(({ type }) => type),
  }
  return readPage({ owner, pageToken, maxResults }, (start, limit) =>
    readSortedRows(db, {
      select: sql`${sql.table('experiment')}.*`,
      from: sql`${sql.table('experiment')}`,
      where: [
        sql<SqlBool>`${sql.ref('experiment.workspace')} = ${workspace}`,
        isOneOf(sql.ref('experiment.stage'), stages),
        ...comparisons.map(experimentCondition),
        request.visibility(sql.ref<number>('experiment.id')),
      ],
      sort,
      start,
      limit,
    }),
  )
}

const DEFAULT_ORDER: readonly ExperimentOrder[] = [
  { key: 'creation_time', descending: true },
  { key: 'experiment_id', descending: false },
]
const TIE_BREAK: ExperimentOrder = { key: 'experiment_id', descending: true }

function experimentSort(order: readonly ExperimentOrder[]): SortColumn[] {
  const fields = order.length === 0 ? DEFAULT_ORDER : [...order, TIE_BREAK]
  return fields
    .filter(({ key }, index) => fields.findIndex((field) => field.key === key) === index)
    .map(({ key, descending }) => ({
      expression: sql.ref(key === 'experiment_id' ? 'experiment.id' : `experiment.${key}`),
      type: key === 'name' ? 'text' : 'number',
      descending,
    }))
}

function experimentCondition(comparison: ExperimentComparison): Expression<SqlBool> {
  if (comparison.kind === 'attribute') {
    if (comparison.type === 'number') {
      return integerCondition(sql.ref(`experiment.${comparison.key}`), comparison)
    }
    if (comparison.key === 'experiment_id') return idCondition(comparison)
    return textCondition(sql.ref('experiment.name'), comparison)
  }
  const belongs = sql<SqlBool>`${sql.ref('experiment_tag.experiment')} = ${sql.ref('experiment.id')}`
  return entryCondition('experiment_tag', belongs, comparison)
}

function idCondition(test: TextTest | ListTest): Expression<SqlBool> {
  const ids = (test.type === 'list' ? test.value : [test.value]).map(Number)
  const isThere = isOneOf(sql.ref('experiment.id'), ids)
  const isWanted = test.comparator === '=' || test.comparator === 'IN'
  return isWanted ? isThere : sql<SqlBool>`not (${isThere})`
}
