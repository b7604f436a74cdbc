import { invalid } from '@millrace/api/errors'
import {
  comparatorOf,
  isQuotable,
  LIST_COMPARATORS,
  listTest,
  NULL_COMPARATORS,
  NUMBER_COMPARATORS,
  numberTest,
  pythonList,
  pythonSet,
  quotedText,
  splitName,
  TEXT_COMPARATORS,
  textTest,
  trimBackticks,
  trimQuotes,
  valueOf,
} from './clause-reading.ts'
import {
  type Clause,
  type Comparison,
  type DatasetComparison,
  echo,
  type Grammar,
  type ListTest,
  type TextTest,
} from './filter.ts'
import { at, type Token } from './tokens.ts'

/** Exports `runGrammar`: what a filter over runs may say. Source: MLflow 3.17 `SearchUtils`. */

type Kind = Comparison['kind']

const KIND_BY_PREFIX: ReadonlyMap<string, Kind> = new Map([
  ['metric', 'metric'],
  ['metrics', 'metric'],
  ['parameter', 'param'],
  ['parameters', 'param'],
  ['param', 'param'],
  ['params', 'param'],
  ['tag', 'tag'],
  ['tags', 'tag'],
  ['attribute', 'attribute'],
  ['attributes', 'attribute'],
  ['attr', 'attribute'],
  ['run', 'attribute'],
  ['dataset', 'dataset'],
  ['datasets', 'dataset'],
])
const KIND_NAMES = ['metric', 'parameter', 'tag', 'attribute', 'dataset']

export type RunAttribute =
  | 'run_id'
  | 'run_name'
  | 'user_id'
  | 'status'
  | 'artifact_uri'
  | 'start_time'
  | 'end_time'

export const RUN_ATTRIBUTE_BY_NAME: ReadonlyMap<string, RunAttribute> = new Map([
  ['artifact_uri', 'artifact_uri'],
  ['end_time', 'end_time'],
  ['run_id', 'run_id'],
  ['run_name', 'run_name'],
  ['start_time', 'start_time'],
  ['status', 'status'],
  ['user_id', 'user_id'],
  ['created', 'start_time'],
  ['Created', 'start_time'],
  ['run name', 'run_name'],
  ['Run name', 'run_name'],
  ['Run Name', 'run_name'],
])

const DATASET_KEYS: readonly DatasetComparison['key'][] = ['name', 'digest', 'context']
const ENTRY_COMPARATORS = [...TEXT_COMPARATORS, ...NULL_COMPARATORS]
const TEXT_OR_LIST_COMPARATORS = [...TEXT_COMPARATORS, ...LIST_COMPARATORS]

export const runGrammar: Grammar = {
  read(clause) {
    const { kind, key } = readRunName(clause.name)
    if (clause.value === undefined && kind !== 'param' && kind !== 'tag') {
      throw invalid(
        'IS NULL / IS NOT NULL is only supported for tags and params, ' +
          `not for '${kind}' '${echo(key)}'${at(clause.name)}`,
      )
    }
    if (kind === 'metric') return readMetric(clause, key)
    if (kind === 'attribute') return readAttribute(clause, key)
    if (kind === 'dataset') return readDataset(clause, key)
    return readEntry(clause, kind, key)
  },
  invalidClauses: (pieces) =>
    `Invalid clause(s) in filter string: ${pieces.map((piece) => `'${piece}'`).join(', ')}`,
  severalStatements,
}

/** Also what experiments and the registry say. */
export function severalStatements(filter: string): string {
  return `Search filter contained multiple expression '${filter}'. Provide AND-ed expression list.`
}

/** The kind and key that a name of a filter or order_by clause over runs stands for. */
export function readRunName(name: Token): { kind: Kind; key: string } {
  const { prefix, key } = splitName(name.text)
  if (prefix === undefined) return { kind: 'attribute', key: trimQuotes(key) }
  const kind = KIND_BY_PREFIX.get(trimBackticks(prefix))
  if (kind === undefined) {
    throw invalid(
      `Invalid entity type '${echo(prefix)}'. Valid values are ${pythonList(KIND_NAMES)}${at(name)}`,
    )
  }
  return { kind, key: trimQuotes(key) }
}

function readMetric(clause: Clause, key: string): Comparison {
  const value = valueOf(clause)
  if (value.type !== 'number') {
    throw invalid(`Expected numeric value type for metric. Found ${echo(value.text)}${at(value)}`)
  }
  return { kind: 'metric', key, ...numberTest(clause, value) }
}

function readEntry(clause: Clause, kind: 'param' | 'tag', key: string): Comparison {
  const { value } = clause
  if (value === undefined) {
    const comparator = comparatorOf(clause, NULL_COMPARATORS)
    return { kind, key, type: 'null', comparator, value: null }
  }
  if (!isQuotable(value)) {
    throw invalid(
      `Expected a quoted string value for ${kind === 'param' ? 'parameter' : 'tag'} ` +
        `(e.g. 'my-value'). Got value ${echo(value.text)}${at(value)}`,
    )
  }
  return { kind, key, ...textTest(clause, quotedText(value), ENTRY_COMPARATORS) }
}

function readAttribute(clause: Clause, name: string): Comparison {
  const key = RUN_ATTRIBUTE_BY_NAME.get(name)
  if (key === undefined) {
    throw invalid(
      `Invalid attribute key '${echo(name)}' specified. ` +
        `Valid keys are '${pythonSet(RUN_ATTRIBUTE_BY_NAME.keys())}'${at(clause.name)}`,
    )
  }
  const value = valueOf(clause)
  if (key === 'start_time' || key === 'end_time') {
    if (value.type !== 'number') {
      throw invalid(
        `Expected numeric value type for numeric attribute: ${name}. ` +
          `Found ${echo(value.text)}${at(value)}`,
      )
    }
    return { kind: 'attribute', key, ...numberTest(clause, value, NUMBER_COMPARATORS) }
  }
  if (value.type === 'list' && key !== 'run_id') {
    throw invalid(
      "Only ['run_id'] attributes support comparison with a list of quoted string values." +
        at(value),
    )
  }
  return { kind: 'attribute', key, ...readTextOrList(clause, value, 'attributes') }
}

function readDataset(clause: Clause, name: string): Comparison {
  const key = DATASET_KEYS.find((candidate) => candidate === name)
  if (key === undefined) {
    throw invalid(
      `Invalid dataset key '${echo(name)}' specified. ` +
        `Valid keys are '${pythonSet(DATASET_KEYS)}'${at(clause.name)}`,
    )
  }
  return { kind: 'dataset', key, ...readTextOrList(clause, valueOf(clause), 'dataset attributes') }
}

/** A quoted text, or a list of them after IN and NOT IN; `what` is for the message. */
export function readTextOrList(clause: Clause, value: Token, what: string): TextTest | ListTest {
  if (value.type === 'list') return listTest(clause, value)
  if (!isQuotable(value)) {
    throw invalid(
      `Expected a quoted string value for ${what}. Got value ${echo(value.text)}${at(value)}`,
    )
  }
  return textTest(clause, quotedText(value), TEXT_OR_LIST_COMPARATORS)
}
