import { invariant } from '@millrace/api/errors'
import { type Expression, type Selectable, type SqlBool, sql } from 'kysely'
import type { Visibility } from '../auth/visibility.ts'
import type { Db } from '../db/dialect.ts'
import type { RegisteredModelTable } from '../db/schema.ts'
import { entryCondition } from './entry-conditions.ts'
import { parseFilter } from './filter.ts'
import { type RegistryComparison, registeredModelGrammar } from './grammar-registry.ts'
import { parseRegisteredModelOrderBy, type RegisteredModelOrder } from './order-by.ts'
import { withoutPromptTag } from './prompt-scope.ts'
import type { SortColumn } from './sort-columns.ts'
import { type Page, readPage, readSortedRows } from './sorted-page.ts'
import { textCondition } from './test-conditions.ts'

/**
 * Exports `searchRegisteredModelsQuery`: a page of registered models, or of prompts. Source: MLflow
 * 3.17 `search_registered_models` of the registry's SQL store.
 */

export interface RegistrySearchRequest {
  visibility: Visibility
  workspace: string
  filter: string | undefined
  orderBy: readonly string[] | undefined
  /** At least 1. */
  maxResults: number
  pageToken: string | undefined
}

/** By default by name. Throws INVALID_PARAMETER_VALUE for what it cannot read. */
export function searchRegisteredModelsQuery(
  db: Db,
  request: RegistrySearchRequest,
): Promise<Page<Selectable<RegisteredModelTable>>> {
  const { workspace, maxResults, pageToken } = request
  const { comparisons, asksForPrompts } = withoutPromptTag(
    parseFilter(request.filter, registeredModelGrammar),
  )
  const sort = modelSort(parseRegisteredModelOrderBy(request.orderBy))
  const owner = {
    entity: 'registered models',
    request: { workspace, comparisons, asksForPrompts, orderBy: request.orderBy ?? [] },
    columns: sort.map(({ type }) => type),
  }
  return readPage({ owner, pageToken, maxResults }, (start, limit) =>
    readSortedRows(db, {
      select: sql`${sql.table('registered_model')}.*`,
      from: sql`${sql.table('registered_model')}`,
      where: [
        sql<SqlBool>`${sql.ref('registered_model.workspace')} = ${workspace}`,
        ...(asksForPrompts ? [] : [sql<SqlBool>`${sql.ref('registered_model.is_prompt')} = 0`]),
        ...comparisons.map(modelCondition),
        request.visibility(sql.ref<number>('registered_model.id')),
      ],
      sort,
      start,
      limit,
    }),
  )
}

function modelSort(order: readonly RegisteredModelOrder[]): SortColumn[] {
  const hasName = order.some(({ key }) => key === 'name')
  const fields = hasName ? order : [...order, { key: 'name', descending: false } as const]
  return fields.map(({ key, descending }) =>
    key === 'name'
      ? { expression: sql.ref('registered_model.name'), type: 'text', descending }
      : { expression: sql.ref('registered_model.last_updated_time'), type: 'number', descending },
  )
}

function modelCondition(comparison: RegistryComparison): Expression<SqlBool> {
  if (comparison.kind === 'attribute') {
    invariant(comparison.type !== 'number', 'no attribute of a model is a number')
    return textCondition(sql.ref('registered_model.name'), comparison)
  }
  const belongs = sql<SqlBool>`${sql.ref('registered_model_tag.model')} = ${sql.ref('registered_model.id')}`
  return entryCondition('registered_model_tag', belongs, comparison)
}
