import { ApiError, invalid } from '@millrace/api/errors'
import { pythonList, pythonSet, splitName, trimQuotes } from './clause-reading.ts'
import { echo } from './filter.ts'
import {
  EXPERIMENT_ATTRIBUTES,
  type ExperimentAttribute,
  readNarrowName,
} from './grammar-experiments.ts'
import {
  LOGGED_MODEL_ATTRIBUTE_BY_NAME,
  type LoggedModelAttribute,
} from './grammar-logged-models.ts'
import { RUN_ATTRIBUTE_BY_NAME, type RunAttribute, readRunName } from './grammar-runs.ts'
import { refuseNul, type Token, tokenize } from './tokens.ts'

/**
 * Exports one parser of `order_by` per entity. Source: MLflow 3.17 `_parse_order_by_string`,
 * `parse_order_by_for_search_*` and the stores' `_get_orderby_clauses`.
 */

export type RunOrder = { descending: boolean } & (
  | { kind: 'metric' | 'param' | 'tag'; key: string }
  | { kind: 'attribute'; key: RunAttribute }
)

export interface ExperimentOrder {
  key: ExperimentAttribute
  descending: boolean
}

export interface RegisteredModelOrder {
  key: 'name' | 'last_updated_timestamp'
  descending: boolean
}

export interface ModelVersionOrder {
  key: 'name' | 'version_number' | 'creation_timestamp' | 'last_updated_timestamp'
  descending: boolean
}

export type LoggedModelOrder = { descending: boolean } & (
  | { kind: 'attribute'; key: LoggedModelAttribute }
  | {
      kind: 'metric'
      key: string
      dataset_name: string | undefined
      dataset_digest: string | undefined
    }
)

/** One element of `order_by` in a search of logged models. */
export interface LoggedModelOrderInput {
  field_name?: string | undefined
  ascending?: boolean | undefined
  dataset_name?: string | undefined
  dataset_digest?: string | undefined
}

const CLAUSES_MAX = 32

/** Metrics, params, tags and attributes; datasets cannot be sorted by. */
export function parseRunOrderBy(orderBy: readonly string[] = []): RunOrder[] {
  const order = parseAll(orderBy, (name): Omit<RunOrder, 'descending'> => {
    const { kind, key } = readRunName(name)
    if (kind === 'dataset') throw invalid("Invalid identifier type 'dataset'")
    if (kind !== 'attribute') return { kind, key }
    const attribute = RUN_ATTRIBUTE_BY_NAME.get(key)
    if (attribute === undefined || key.includes(' ')) {
      const valid = [...RUN_ATTRIBUTE_BY_NAME.keys()].filter((each) => !each.includes(' '))
      throw badAttribute(key, valid)
    }
    return { kind, key: attribute }
  }) as RunOrder[] // The kinds and keys stay paired, which `Omit` on a union forgets.
  refuseDuplicates(orderBy, order)
  return order
}

/** A field named twice is taken once, as MLflow does; what no `order_by` says is the query's. */
export function parseExperimentOrderBy(orderBy: readonly string[] = []): ExperimentOrder[] {
  return parseAll(orderBy, (name) => {
    const { kind, key } = readNarrowName(name, EXPERIMENT_ATTRIBUTES)
    if (kind !== 'attribute') throw invalid(`Invalid order_by entity: ${kind}`)
    return { key }
  })
}

const MODEL_ORDER_KEYS = ['name', 'timestamp', 'last_updated_timestamp']

export function parseRegisteredModelOrderBy(
  orderBy: readonly string[] = [],
): RegisteredModelOrder[] {
  const order = parseAll(orderBy, ({ text }) => {
    if (!MODEL_ORDER_KEYS.includes(text)) {
      throw invalid(
        `Invalid order by key '${echo(text)}' specified. ` +
          `Valid keys are '${pythonSet(['name', 'timestamp'])}'`,
      )
    }
    return { key: text === 'name' ? 'name' : 'last_updated_timestamp' } as const
  })
  refuseDuplicates(orderBy, order)
  return order
}

const VERSION_ORDER_KEYS = [
  'name',
  'version_number',
  'creation_timestamp',
  'last_updated_timestamp',
] as const

export function parseModelVersionOrderBy(orderBy: readonly string[] = []): ModelVersionOrder[] {
  const order = parseAll(orderBy, (name) => {
    const { kind, key } = readNarrowName(name, VERSION_ORDER_KEYS)
    if (kind !== 'attribute') throw invalid(`Invalid order_by entity: ${kind}`)
    return { key }
  })
  refuseDuplicates(orderBy, order)
  return order
}

/** Source: MLflow 3.17 `SearchLoggedModelsUtils.parse_order_by_for_logged_models`. */
export function parseLoggedModelOrderBy(
  orderBy: readonly LoggedModelOrderInput[] = [],
): LoggedModelOrder[] {
  refuseLength(orderBy)
  return orderBy.map(({ field_name, ascending = true, dataset_name, dataset_digest }) => {
    if (!field_name) {
      throw invalid('`field_name` in the `order_by` clause must be specified.')
    }
    refuseNul(field_name, 'order_by clause')
    if (dataset_digest && !dataset_name) {
      throw invalid('`dataset_digest` can only be specified if `dataset_name` is also specified.')
    }
    const descending = !ascending
    const { prefix, key } = splitName(field_name)
    if (prefix === undefined) {
      const attribute = LOGGED_MODEL_ATTRIBUTE_BY_NAME.get(field_name.trim())
      if (attribute === undefined) {
        throw invalid(`Invalid order by field name: ${echo(field_name)}`)
      }
      return { kind: 'attribute', key: attribute, descending }
    }
    if (prefix !== 'metrics') {
      throw invalid(`Invalid order by field name: ${echo(field_name)}. Only metrics are supported.`)
    }
    return {
      kind: 'metric',
      key,
      dataset_name: dataset_name || undefined,
      dataset_digest: dataset_digest || undefined,
      descending,
    }
  })
}

function parseAll<Field>(
  orderBy: readonly string[],
  readField: (name: Token) => Field,
): (Field & { descending: boolean })[] {
  refuseLength(orderBy)
  return orderBy.map((clause) => {
    const { name, descending } = parseClause(clause)
    return { ...readField(name), descending }
  })
}

function refuseLength(orderBy: readonly unknown[]): void {
  if (orderBy.length > CLAUSES_MAX) {
    throw invalid(
      `Invalid order_by: it has ${orderBy.length} fields, at most ${CLAUSES_MAX} are allowed.`,
    )
  }
}

/** `<name> [ASC|DESC]`; a name that is quoted as a whole counts without its quotes. */
function parseClause(clause: string): { name: Token; descending: boolean } {
  refuseNul(clause, 'order_by clause')
  const [name, direction, ...more] = tokenize(clause)
  if (name?.type !== 'name' || more.length > 0) throw unparsable(clause)
  if (direction !== undefined && direction.type !== 'name') throw unparsable(clause)
  const word = direction?.text.toLowerCase() ?? 'asc'
  if (word !== 'asc' && word !== 'desc') {
    throw invalid(`Invalid ordering key in order_by clause '${echo(clause)}'.`)
  }
  const isQuotedWhole = /^(`[^`]*`|"[^"]*")$/.test(name.text)
  const text = isQuotedWhole ? trimQuotes(name.text) : name.text
  return { name: { ...name, text }, descending: word === 'desc' }
}

function unparsable(clause: string): ApiError {
  return invalid(`Invalid order_by clause '${echo(clause)}'. Could not be parsed.`)
}

function badAttribute(key: string, valid: Iterable<string>): ApiError {
  return invalid(
    `Invalid attribute key '${echo(key)}' specified. Valid keys are '${pythonSet(valid)}'`,
  )
}

function refuseDuplicates(
  orderBy: readonly string[],
  order: readonly { kind?: string; key: string }[],
): void {
  const fields = new Set(order.map(({ kind, key }) => JSON.stringify([kind, key])))
  if (fields.size < order.length) {
    throw invalid(`\`order_by\` contains duplicate fields: ${echo(pythonList(orderBy))}`)
  }
}
