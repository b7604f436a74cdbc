import { invalid } from '@millrace/api/errors'
import {
  comparatorOf,
  isQuotable,
  LIST_COMPARATORS,
  listTest,
  NULL_COMPARATORS,
  numberTest,
  pythonSet,
  quotedText,
  splitName,
  textTest,
  trimQuotes,
  valueOf,
} from './clause-reading.ts'
import {
  type AttributeComparison,
  type Clause,
  type EntryComparison,
  echo,
  type Grammar,
  type ListTest,
  type NumberTest,
  type TextTest,
} from './filter.ts'
import { readTextOrList, severalStatements } from './grammar-runs.ts'
import { at, type Token } from './tokens.ts'

/**
 * Exports `experimentGrammar`, and `readNarrowName`, which the registry shares. Source: MLflow 3.17
 * `SearchExperimentsUtils` and `_get_search_experiments_filter_clauses`.
 */

export const EXPERIMENT_ATTRIBUTES = [
  'name',
  'experiment_id',
  'creation_time',
  'last_update_time',
] as const
export type ExperimentAttribute = (typeof EXPERIMENT_ATTRIBUTES)[number]
export type ExperimentComparison = EntryComparison | AttributeComparison

const NAME_COMPARATORS = ['=', '!=', 'LIKE', 'ILIKE'] as const
const ID_COMPARATORS = ['=', '!=', ...LIST_COMPARATORS] as const

export const experimentGrammar: Grammar<ExperimentComparison> = {
  read(clause) {
    const { kind, key } = readNarrowName(clause.name, EXPERIMENT_ATTRIBUTES)
    if (kind === 'tag') return readExperimentTag(clause, key)
    if (clause.value === undefined) {
      throw invalid(
        'IS NULL / IS NOT NULL is only supported for tags, ' +
          `not for attribute '${key}'${at(clause.name)}`,
      )
    }
    return { kind, key, ...readAttributeTest(clause, key) }
  },
  invalidClauses: (pieces) => `Invalid clause(s) in filter string: ${pieces.join(', ')}`,
  severalStatements,
}

/**
 * A name whose prefix can only be attribute, tag or tags; throws for an attribute that is not in
 * `attributes`. Source: MLflow 3.17 `SearchExperimentsUtils._get_identifier`.
 */
export function readNarrowName<A extends string>(
  name: Token,
  attributes: readonly A[],
): { kind: 'tag'; key: string } | { kind: 'attribute'; key: A } {
  const { prefix, key: quotedKey } = splitName(name.text)
  const key = trimQuotes(quotedKey)
  if (prefix === 'tag' || prefix === 'tags') return { kind: 'tag', key }
  if (prefix !== undefined && prefix !== 'attribute') {
    throw invalid(
      `Invalid entity type '${echo(prefix)}'. ` +
        `Valid entity types are ('attribute', 'tag', 'tags')${at(name)}`,
    )
  }
  const attribute = attributes.find((candidate) => candidate === key)
  if (attribute === undefined) {
    throw invalid(
      `Invalid attribute key '${echo(key)}' specified. ` +
        `Valid keys are '${pythonSet(attributes)}'${at(name)}`,
    )
  }
  return { kind: 'attribute', key: attribute }
}

function readExperimentTag(clause: Clause, key: string): ExperimentComparison {
  const { value } = clause
  if (value === undefined) {
    const comparator = comparatorOf(clause, NULL_COMPARATORS)
    return { kind: 'tag', key, type: 'null', comparator, value: null }
  }
  return { kind: 'tag', key, ...readTagText(clause, value) }
}

/** The test of a tag clause with a quoted text. */
export function readTagText(clause: Clause, value: Token): TextTest {
  if (!isQuotable(value)) {
    throw invalid(
      `Expected a quoted string value for tag (e.g. 'my-value'). Got value ${echo(value.text)}${at(value)}`,
    )
  }
  const text = quotedText(value)
  refuseComparator(clause, NAME_COMPARATORS, 'tag')
  return textTest(clause, text)
}

/** Says which comparator of what is wrong, in the wording of the database stores. */
export function refuseComparator(clause: Clause, valid: readonly string[], what: string): void {
  if (!valid.includes(clause.comparator)) {
    throw invalid(
      `Invalid comparator for ${what}: ${echo(clause.comparator)}${at(clause.operator)}`,
    )
  }
}

function readAttributeTest(
  clause: Clause,
  key: ExperimentAttribute,
): NumberTest | TextTest | ListTest {
  const value = valueOf(clause)
  if (key === 'creation_time' || key === 'last_update_time') return readTime(clause, key, value)
  if (key === 'name' && value.type === 'list') {
    throw invalid(
      "Only ['experiment_id'] attributes support comparison with a list of quoted string values." +
        at(value),
    )
  }
  if (key === 'name') return readTextOrList(clause, value, 'attributes')
  const test = value.type === 'list' ? listTest(clause, value) : readId(clause, value)
  for (const id of test.type === 'list' ? test.value : [test.value]) {
    if (!/^\s*[+-]?\d{1,18}\s*$/.test(id)) {
      throw invalid(
        `Invalid experiment ID '${echo(id)}'. Experiment ID must be a valid integer.${at(value)}`,
      )
    }
  }
  return test
}

function readId(clause: Clause, value: Token): TextTest | ListTest {
  if (isQuotable(value)) refuseComparator(clause, ID_COMPARATORS, 'experiment_id')
  return readTextOrList(clause, value, 'attributes')
}

function readTime(clause: Clause, key: ExperimentAttribute, value: Token): NumberTest {
  if (value.type !== 'number') {
    throw invalid(
      `Expected numeric value type for numeric attribute: ${key}. ` +
        `Found ${echo(value.text)}${at(value)}`,
    )
  }
  const test = numberTest(clause, value)
  if (!/^-?\d+$/.test(value.text)) {
    throw invalid(`Invalid value for numeric attribute '${key}': '${echo(value.text)}'${at(value)}`)
  }
  return test
}
