import { invalid } from '@millrace/api/errors'
import { at, refuseNul, type Token, tokenize } from './tokens.ts'

/**
 * Exports `parseFilter` and the types of its result. A filter is clauses joined by AND; what a
 * clause may say is the entity's grammar (`grammar-*.ts`). Source: MLflow 3.17
 * `SearchUtils.parse_search_filter`.
 */

export type NumberComparator = '=' | '!=' | '>' | '>=' | '<' | '<='
export type TextComparator = '=' | '!=' | 'LIKE' | 'ILIKE'

export interface NumberTest {
  type: 'number'
  comparator: NumberComparator
  /** A bigint beyond 2^53. */
  value: number | bigint
}
export interface TextTest {
  type: 'text'
  comparator: TextComparator
  value: string
}
export interface ListTest {
  type: 'list'
  comparator: 'IN' | 'NOT IN'
  /** At least one. */
  value: readonly string[]
}
export interface NullTest {
  type: 'null'
  comparator: 'IS NULL' | 'IS NOT NULL'
  value: null
}

export type MetricComparison = { kind: 'metric'; key: string } & NumberTest
/** Params and tags. */
export type EntryComparison = { kind: 'param' | 'tag'; key: string } & (
  | TextTest
  | ListTest
  | NullTest
)
/** `key` is the canonical name of the attribute, whatever alias was written. */
export type AttributeComparison = { kind: 'attribute'; key: string } & (
  | NumberTest
  | TextTest
  | ListTest
)
export type DatasetComparison = { kind: 'dataset'; key: 'name' | 'digest' | 'context' } & (
  | TextTest
  | ListTest
)
export type Comparison =
  | MetricComparison
  | EntryComparison
  | AttributeComparison
  | DatasetComparison

/** One clause, cut out but not yet understood. */
export interface Clause {
  name: Token
  /** In upper case, single spaces. */
  comparator: string
  /** The operator's token, for error positions. */
  operator: Token
  /** Missing for IS NULL and IS NOT NULL. */
  value: Token | undefined
}

/** What one kind of entity can be asked for. */
export interface Grammar<C extends Comparison = Comparison> {
  /** Understands a clause or throws a 400 that says what is wrong with it. */
  read(clause: Clause): C
  /** The message about pieces of text that are no clause. */
  invalidClauses(pieces: readonly string[], filter: string): string
  /** The message about a filter with a `;` in the middle. */
  severalStatements(filter: string): string
}

const FILTER_LENGTH_MAX = 300_000
const CLAUSES_MAX = 250
/** Each is a parameter of the statement, of which SQLite takes 32 766. */
const LISTED_MAX = 10_000
const ECHO_LENGTH_MAX = 300

/**
 * Parses a filter; none or an empty one compares nothing. Throws INVALID_PARAMETER_VALUE in
 * MLflow's wording, with the place of the mistake at the end where it is known.
 */
export function parseFilter<C extends Comparison>(
  filter: string | undefined,
  grammar: Grammar<C>,
): C[] {
  if (!filter) return []
  if (filter.length > FILTER_LENGTH_MAX) {
    throw invalid(
      `Invalid filter: it has ${filter.length} characters, at most ${FILTER_LENGTH_MAX} are allowed.`,
    )
  }
  refuseNul(filter, 'filter')
  const tokens = tokenize(filter)
  if (tokens.length === 0) throw invalid(`Invalid filter '${echo(filter)}'. Could not be parsed.`)

  const semicolon = tokens.findIndex(({ text }) => text === ';')
  if (semicolon !== -1 && semicolon < tokens.length - 1) {
    throw invalid(grammar.severalStatements(echo(filter)))
  }
  const comparisons = cutClauses(tokens, filter, grammar).map((clause) => grammar.read(clause))
  let listed = 0
  for (const { type, value } of comparisons) if (type === 'list') listed += value.length
  if (listed > LISTED_MAX) {
    throw invalid(
      `Invalid filter: its lists have ${listed} values together, at most ${LISTED_MAX} are allowed.`,
    )
  }
  return comparisons
}

/** A text for an error message: enough of it to recognise, whatever its length. */
export function echo(text: string): string {
  return text.length <= ECHO_LENGTH_MAX ? text : `${text.slice(0, ECHO_LENGTH_MAX)}...`
}

/**
 * As MLflow does, takes any number of ANDs anywhere, none at all included, between clauses; reports
 * all pieces that are neither.
 */
function cutClauses(tokens: readonly Token[], filter: string, grammar: Grammar): Clause[] {
  const clauses: Clause[] = []
  const strays: Token[] = []
  let index = 0
  for (let token = tokens[index]; token !== undefined; token = tokens[index]) {
    if (isKeyword(token, 'AND')) {
      index++
      continue
    }
    const found = clauseAt(tokens, index)
    if (found === undefined) {
      strays.push(token)
      index++
    } else {
      clauses.push(found.clause)
      index = found.end
    }
    if (clauses.length > CLAUSES_MAX) {
      throw invalid(`Invalid filter: it has more than ${CLAUSES_MAX} clauses.`)
    }
  }
  const [first] = strays
  if (first !== undefined) {
    const pieces = strays.slice(0, 10).map(({ text }) => echo(text))
    throw invalid(grammar.invalidClauses(pieces, echo(filter)) + at(first))
  }
  return clauses
}

function clauseAt(
  tokens: readonly Token[],
  start: number,
): { clause: Clause; end: number } | undefined {
  const name = tokens[start]
  const operator = tokens[start + 1]
  if (name === undefined || operator === undefined) return undefined
  const isName = name.type === 'name'
  const matched = comparatorAt(tokens, start + 1)
  if (matched === undefined) return undefined
  const { comparator, end } = matched

  if (comparator.startsWith('IS')) {
    return isName ? { clause: { name, comparator, operator, value: undefined }, end } : undefined
  }
  const value = tokens[end]
  const isList = value?.type === 'list'
  if (value === undefined || !isOperand(value) || !isOperand(name)) return undefined
  if ((comparator === 'IN' || comparator === 'NOT IN') && !(isName && isList)) return undefined
  if (!isName) {
    throw invalid(
      `Invalid comparison clause. Expected 'Identifier' found '${echo(name.text)}'${at(name)}`,
    )
  }
  return { clause: { name, comparator, operator, value }, end: end + 1 }
}

const COMPARATOR_WORDS = [
  ['IS', 'NOT', 'NULL'],
  ['IS', 'NULL'],
  ['NOT', 'IN'],
  ['NOT', 'LIKE'],
  ['NOT', 'ILIKE'],
  ['NOT', 'RLIKE'],
  ['NOT', 'REGEXP'],
  ['IN'],
  ['LIKE'],
  ['ILIKE'],
  ['RLIKE'],
  ['REGEXP'],
] as const

function comparatorAt(
  tokens: readonly Token[],
  start: number,
): { comparator: string; end: number } | undefined {
  const first = tokens[start]
  if (first?.type === 'operator') return { comparator: first.text, end: start + 1 }
  const words = COMPARATOR_WORDS.find((candidate) =>
    candidate.every((word, offset) => isKeyword(tokens[start + offset], word)),
  )
  return words && { comparator: words.join(' '), end: start + words.length }
}

function isKeyword(token: Token | undefined, word: string): boolean {
  return token?.type === 'keyword' && token.text === word
}

function isOperand(token: Token): boolean {
  return ['name', 'text', 'number', 'list'].includes(token.type) || isKeyword(token, 'NULL')
}
