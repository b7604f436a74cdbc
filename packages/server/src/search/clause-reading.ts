import { invalid } from '@millrace/api/errors'
import {
  type Clause,
  echo,
  type ListTest,
  type NumberComparator,
  type NumberTest,
  type TextComparator,
  type TextTest,
} from './filter.ts'
import { at, numberOf, type Token, unquote } from './tokens.ts'

/**
 * Exports what the grammars are made of: reading names, texts, numbers and lists of a clause.
 * Wording: MLflow 3.17 `mlflow/utils/search_utils.py`.
 */

export const NUMBER_COMPARATORS = ['>', '>=', '!=', '=', '<', '<='] as const
export const TEXT_COMPARATORS = ['!=', '=', 'LIKE', 'ILIKE'] as const
export const LIST_COMPARATORS = ['IN', 'NOT IN'] as const
export const NULL_COMPARATORS = ['IS NULL', 'IS NOT NULL'] as const

const LIST_LENGTH_MAX = 5000
/** SQLite takes pattern times text long for a hostile pair: 7 ms for 500 and 8000 characters. */
const PATTERN_LENGTH_MAX = 500

/** `prefix.key` as written; without a dot the prefix is missing. */
export function splitName(text: string): { prefix: string | undefined; key: string } {
  const dot = text.indexOf('.')
  if (dot === -1) return { prefix: undefined, key: text }
  return { prefix: text.slice(0, dot), key: text.slice(dot + 1) }
}

/** A key or prefix without the quotes or backticks around it. */
export function trimQuotes(text: string): string {
  return trimBackticks(unquote(text) ?? text)
}

export function trimBackticks(text: string): string {
  const isQuoted = text.length >= 2 && text.startsWith('`') && text.endsWith('`')
  return isQuoted ? text.slice(1, -1) : text
}

/** A set as Python prints it, for messages that list what is valid. */
export function pythonSet(values: Iterable<string>): string {
  return `{${[...values].map((value) => `'${value}'`).join(', ')}}`
}

export function pythonList(values: Iterable<string>): string {
  return `[${[...values].map((value) => `'${value}'`).join(', ')}]`
}

/** A text as Python's `repr` prints it. */
export function pythonText(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'"
  return quote + text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n') + quote
}

/** The clause's comparator if it is one of these, else a 400. */
export function comparatorOf<C extends string>(
  { comparator, operator }: Clause,
  valid: readonly C[],
  listed: readonly string[] = valid,
): C {
  const found = valid.find((candidate) => candidate === comparator)
  if (found === undefined) {
    throw invalid(
      `Invalid comparator '${echo(comparator)}' not one of '${pythonSet(listed)}'${at(operator)}`,
    )
  }
  return found
}

/** The value of a clause that IS NULL cannot reach. */
export function valueOf({ name, value }: Clause): Token {
  if (value === undefined) {
    throw invalid(`IS NULL / IS NOT NULL is not supported for '${echo(name.text)}'${at(name)}`)
  }
  return value
}

export function isQuotable(token: Token): boolean {
  return token.type === 'text' || token.type === 'name'
}

/** What a quoted text says; nothing is an escape, as in MLflow. */
export function quotedText(token: Token): string {
  const text = unquote(token.text)
  if (text === undefined) {
    throw invalid(
      'Parameter value is either not quoted or unidentified quote types used for string value ' +
        `${echo(token.text)}. Use either single or double quotes.${at(token)}`,
    )
  }
  return text
}

/** A list of quoted texts: what IN compares with. */
export function quotedTexts(token: Token): string[] {
  const items = token.items ?? []
  if (items.length === 0) {
    throw invalid(
      'While parsing a list in the query, expected a non-empty list of string values, but got ' +
        `empty list${at(token)}`,
    )
  }
  const texts: string[] = []
  for (const [index, item] of items.entries()) {
    const isSeparator = index % 2 === 1
    const text = isSeparator || !isQuotable(item) ? undefined : unquote(item.text)
    if (isSeparator ? item.text !== ',' : text === undefined) throw badListItem(item, isSeparator)
    if (text !== undefined) texts.push(text)
  }
  if (texts.length > LIST_LENGTH_MAX) {
    throw invalid(
      `A list in the query has ${texts.length} values, at most ${LIST_LENGTH_MAX} are allowed${at(token)}`,
    )
  }
  return texts
}

function badListItem(item: Token, isSeparator: boolean) {
  const problem =
    isSeparator || item.type === 'other'
      ? 'a non-empty list of string values, but got ill-formed list'
      : 'string value, punctuation, or whitespace, but got different type in list'
  return invalid(
    `While parsing a list in the query, expected ${problem}: ${echo(item.text)}${at(item)}`,
  )
}

export function numberTest(clause: Clause, value: Token, listed?: readonly string[]): NumberTest {
  const comparator: NumberComparator = comparatorOf(clause, NUMBER_COMPARATORS, listed)
  return { type: 'number', comparator, value: numberOf(value) }
}

export function textTest(clause: Clause, value: string, listed?: readonly string[]): TextTest {
  const comparator: TextComparator = comparatorOf(clause, TEXT_COMPARATORS, listed)
  if (comparator.endsWith('LIKE') && value.length > PATTERN_LENGTH_MAX) {
    throw invalid(
      `Invalid ${comparator} pattern: it has ${value.length} characters, at most ` +
        `${PATTERN_LENGTH_MAX} are allowed${at(clause.operator)}`,
    )
  }
  return { type: 'text', comparator, value }
}

export function listTest(clause: Clause, value: Token): ListTest {
  return {
    type: 'list',
    comparator: comparatorOf(clause, LIST_COMPARATORS),
    value: quotedTexts(value),
  }
}
