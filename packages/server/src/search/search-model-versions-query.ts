import { type Expression, type Selectable, type SqlBool, sql } from 'kysely'
import type { Db } from '../db/dialect.ts'
import type { ModelVersionTable } from '../db/schema.ts'
import { entryCondition } from './entry-conditions.ts'
import { parseFilter } from './filter.ts'
import { modelVersionGrammar, type RegistryComparison } from './grammar-registry.ts'
import { type ModelVersionOrder, parseModelVersionOrderBy } from './order-by.ts'
import { IS_PROMPT_TAG, withoutPromptTag } from './prompt-scope.ts'
import type { RegistrySearchRequest } from './search-registered-models-query.ts'
import type { SortColumn } from './sort-columns.ts'
import { type Page, readPage, readSortedRows } from './sorted-page.ts'
import { allOf, integerCondition, textCondition } from './test-conditions.ts'

/**
 * Exports `searchModelVersionsQuery`: a page of model versions, or of versions of prompts. Source:
 * MLflow 3.17 `search_model_versions` of the registry's SQL store.
 */

/** A version with the name of its model. */
export type ModelVersionRow = Selectable<ModelVersionTable> & { name: string }

/** By default latest updated first. Throws INVALID_PARAMETER_VALUE for what it cannot read. */
export function searchModelVersionsQuery(
  db: Db,
  request: RegistrySearchRequest,
): Promise<Page<ModelVersionRow>> {
  const { workspace, maxResults, pageToken } = request
  const { comparisons, asksForPrompts } = withoutPromptTag(
    parseFilter(request.filter, modelVersionGrammar),
  )
  const sort = versionSort(parseModelVersionOrderBy(request.orderBy))
  const owner = {
    entity: 'model versions',
    request: { workspace, comparisons, asksForPrompts, orderBy: request.orderBy ?? [] },
    columns: sort.map(({ type }) => type),
  }
  return readPage({ owner, pageToken, maxResults }, (start, limit) =>
    readSortedRows(db, {
      select: sql`${sql.table('model_version')}.*, ${sql.ref('registered_model.name')}`,
      from: sql`${sql.table('model_version')} join ${sql.table('registered_model')}
        on ${sql.ref('registered_model.id')} = ${sql.ref('model_version.model')}`,
      where: [
        sql<SqlBool>`${sql.ref('registered_model.workspace')} = ${workspace}`,
        ...(asksForPrompts ? [] : [isOfModel()]),
        ...comparisons.map(versionCondition),
        request.visibility(sql.ref<number>('registered_model.id')),
      ],
      sort,
      start,
      limit,
    }),
  )
}

/** One version that carries the prompt tag makes the name a prompt's, as in MLflow. */
function isOfModel(): Expression<SqlBool> {
  const tag = sql.table('model_version_tag')
  return sql<SqlBool>`${sql.ref('registered_model.is_prompt')} = 0
    and not exists (select 1 from ${tag}
      where ${sql.ref('model_version_tag.model')} = ${sql.ref('model_version.model')}
        and ${sql.ref('model_version_tag.key')} = ${IS_PROMPT_TAG}
        and ${sql.ref('model_version_tag.value')} = 'true')`
}

const DEFAULT_ORDER: readonly ModelVersionOrder[] = [
  { key: 'last_updated_timestamp', descending: true },
]
const TIE_BREAKS: readonly ModelVersionOrder[] = [
  { key: 'name', descending: false },
  { key: 'version_number', descending: true },
]

const COLUMN_BY_KEY = {
  name: 'registered_model.name',
  version_number: 'model_version.version',
  creation_timestamp: 'model_version.creation_time',
  last_updated_timestamp: 'model_version.last_updated_time',
} as const

function versionSort(order: readonly ModelVersionOrder[]): SortColumn[] {
  const wanted = order.length === 0 ? DEFAULT_ORDER : order
  const ties = TIE_BREAKS.filter((tie) => !wanted.some(({ key }) => key === tie.key))
  return [...wanted, ...ties].map(({ key, descending }) => ({
    expression: sql.ref(COLUMN_BY_KEY[key]),
    type: key === 'name' ? 'text' : 'number',
    descending,
  }))
}

function versionCondition(comparison: RegistryComparison): Expression<SqlBool> {
  if (comparison.kind !== 'attribute') {
    const belongs = allOf([
      sql<SqlBool>`${sql.ref('model_version_tag.model')} = ${sql.ref('model_version.model')}`,
      sql<SqlBool>`${sql.ref('model_version_tag.version')} = ${sql.ref('model_version.version')}`,
    ])
    return entryCondition('model_version_tag', belongs, comparison)
  }
  if (comparison.type === 'number') {
    return integerCondition(sql.ref('model_version.version'), comparison)
  }
  if (comparison.key === 'name') {
    return textCondition(sql.ref('registered_model.name'), comparison)
  }
  const column = comparison.key === 'source_path' ? 'source' : 'run_id'
  return textCondition(sql.ref(`model_version.${column}`), comparison)
}
