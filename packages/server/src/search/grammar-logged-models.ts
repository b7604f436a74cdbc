import { invalid } from '@millrace/api/errors'
import {
  listTest,
  numberTest,
  pythonList,
  pythonSet,
  pythonText,
  textTest,
} from './clause-reading.ts'
import {
  type AttributeComparison,
  type Clause,
  type EntryComparison,
  echo,
  type Grammar,
  type ListTest,
  type MetricComparison,
  type TextTest,
} from './filter.ts'
import { at, type Token, unquote } from './tokens.ts'

/**
 * Exports `loggedModelGrammar`. Texts need no quotes here: MLflow takes `params.lr = 0.01`. Source:
 * MLflow 3.17 `mlflow/utils/search_logged_model_utils.py`.
 */

export type LoggedModelComparison = MetricComparison | EntryComparison | AttributeComparison

export const LOGGED_MODEL_ATTRIBUTES = [
  'name',
  'model_id',
  'model_type',
  'status',
  'source_run_id',
  'creation_timestamp',
  'last_updated_timestamp',
] as const
export type LoggedModelAttribute = (typeof LOGGED_MODEL_ATTRIBUTES)[number]

export const LOGGED_MODEL_ATTRIBUTE_BY_NAME: ReadonlyMap<string, LoggedModelAttribute> = new Map([
  ...LOGGED_MODEL_ATTRIBUTES.map((name) => [name, name] as const),
  ['creation_time', 'creation_timestamp'] as const,
  ['last_updated_time', 'last_updated_timestamp'] as const,
])

const PREFIXES = ['attributes', 'metrics', 'params', 'tags'] as const
const NUMBER_OPERATORS = ['<', '<=', '>', '>=', '=', '!=']
const TEXT_OPERATORS = ['=', '!=', 'LIKE', 'ILIKE', 'IN', 'NOT IN']

export const loggedModelGrammar: Grammar<LoggedModelComparison> = {
  read(clause) {
    const { name, value } = clause
    if (value === undefined) {
      throw invalid(
        `Invalid comparison: ${echo(name.text)} ${clause.comparator}. ` +
          `Expected a comparison with 3 tokens.${at(name)}`,
      )
    }
    const { prefix, key } = readLoggedModelName(name)
    const isNumber = prefix === 'metrics' || (prefix === 'attributes' && key.endsWith('_timestamp'))
    refuseOperator(clause, `${prefix}.${key}`, isNumber)
    if (isNumber) {
      if (value.type !== 'number') {
        throw invalid(
          `Expected numeric value type for ${prefix}.${key}. Found ${echo(value.text)}${at(value)}`,
        )
      }
      const test = numberTest(clause, value)
      if (prefix === 'metrics') return { kind: 'metric', key, ...test }
      return { kind: 'attribute', key, ...test }
    }
    const test = readLooseText(clause, value)
    if (prefix === 'params') return { kind: 'param', key, ...test }
    if (prefix === 'tags') return { kind: 'tag', key, ...test }
    return { kind: 'attribute', key, ...test }
  },
  invalidClauses: (_pieces, filter) =>
    `Invalid filter string: ${pythonText(filter)}. Expected a list of comparisons separated by ` +
    "'AND' (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01').",
  severalStatements: (filter) =>
    `Invalid filter string: ${pythonText(filter)}. Expected a single SQL expression.`,
}

function readLoggedModelName(name: Token): { prefix: (typeof PREFIXES)[number]; key: string } {
  const match = /^([a-z]+)\.(.+)$/s.exec(name.text)
  const prefix = match ? PREFIXES.find((candidate) => candidate === match[1]) : 'attributes'
  if (prefix === undefined) {
    throw invalid(
      `Invalid entity type: '${echo(match?.[1] ?? '')}'. ` +
        `Expected one of ${pythonList(PREFIXES)}.${at(name)}`,
    )
  }
  const key = bareKey(match?.[2] ?? name.text)
  if (prefix !== 'attributes') return { prefix, key }
  const attribute = LOGGED_MODEL_ATTRIBUTE_BY_NAME.get(key)
  if (attribute === undefined) {
    throw invalid(
      `Invalid attribute key '${echo(key)}' specified. ` +
        `Valid keys are '${pythonSet(LOGGED_MODEL_ATTRIBUTE_BY_NAME.keys())}'${at(name)}`,
    )
  }
  return { prefix, key: attribute }
}

function bareKey(text: string): string {
  return unquote(text) ?? text.replace(/^`+|`+$/g, '')
}

function refuseOperator({ comparator, operator }: Clause, name: string, isNumber: boolean): void {
  const valid = isNumber ? NUMBER_OPERATORS : TEXT_OPERATORS
  if (!valid.includes(comparator)) {
    throw invalid(
      `Invalid comparison operator for ${echo(name)}: '${echo(comparator)}'. Expected one of ` +
        `(${valid.map((each) => `'${each}'`).join(', ')}).${at(operator)}`,
    )
  }
}

function readLooseText(clause: Clause, value: Token): TextTest | ListTest {
  if (value.type === 'list') return listTest(clause, value)
  return textTest(clause, unquote(value.text) ?? value.text)
}
