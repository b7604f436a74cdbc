import { invalid } from '@millrace/api/errors'

/**
 * Exports `tokenize`, shared by filters and order_by clauses. MLflow reads both with a lenient SQL
 * tokenizer (3.17 `sqlparse`); this one knows only what the language needs and is linear in time.
 */

/**
 * `name`: a dotted path whose parts may be quoted, also a lone "double quoted" text; `text`: a
 * 'single quoted' one; `list`: a balanced parenthesis; `other`: a character without meaning here.
 */
export type TokenType = 'name' | 'text' | 'number' | 'operator' | 'keyword' | 'list' | 'other'

export interface Token {
  type: TokenType
  /** As written; a keyword in upper case. */
  text: string
  /** Offset of the first character. */
  position: number
  /** What a list holds, commas and nested parentheses included. */
  items?: Token[]
}

const KEYWORDS: ReadonlySet<string> = new Set([
  'AND',
  'OR',
  'NOT',
  'IN',
  'IS',
  'NULL',
  'LIKE',
  'ILIKE',
  'RLIKE',
  'REGEXP',
])

const KEYWORD_LENGTH_MAX = 6

const SPACE = /\s+/y
const NUMBER = /-?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?/iy
const NUMBER_START = /[-.\d]/
const GOES_ON = /[\p{L}\p{N}_.]/u
const WORD = /[\p{L}\p{N}_][\p{L}\p{N}_$#]*/uy
const BACKTICKED = /`(?:``|[^`])*`/y
const DOUBLE_QUOTED = /"(?:""|\\"|[^"])*"/y
const SINGLE_QUOTED = /'(?:''|\\'|[^'])*'/y
const OPERATOR = /[<>=~!]+/y

const PATH_START = [WORD, BACKTICKED, DOUBLE_QUOTED]
const PATH_PART = [...PATH_START, SINGLE_QUOTED]

/** Enough for a list of ten thousand values with its commas. */
const TOKENS_MAX = 30_000

/** Cuts a text into tokens; what fits nothing becomes `other`. Throws a 400 for too many. */
export function tokenize(source: string): Token[] {
  const tokens: Token[] = []
  let position = endOf([SPACE], source, 0) ?? 0
  while (position < source.length) {
    if (tokens.length === TOKENS_MAX) {
      throw invalid(`Invalid filter or order_by clause: it has more than ${TOKENS_MAX} parts.`)
    }
    const token = tokenAt(source, position)
    tokens.push(token)
    position += token.text.length
    position = endOf([SPACE], source, position) ?? position
  }
  return groupLists(source, tokens)
}

/** The tail of an error message that tells where in the filter it is; people count from one. */
export function at({ position }: Token): string {
  return ` (at character ${position + 1})`
}

/** A number literal: exact where it is an integer that 64 bits hold. */
export function numberOf({ text }: Token): number | bigint {
  const number = Number(text)
  if (!/^-?\d{1,19}$/.test(text) || Number.isSafeInteger(number)) return number
  const exact = BigInt(text)
  return BigInt.asIntN(64, exact) === exact ? exact : number
}

/** What stands between single or double quotes, or undefined when there are none. */
export function unquote(text: string): string | undefined {
  const quote = text[0]
  const isQuoted = text.length >= 2 && text.at(-1) === quote && (quote === "'" || quote === '"')
  return isQuoted ? text.slice(1, -1) : undefined
}

/** Characters that no database stores are refused before they reach one. */
export function refuseNul(source: string, what: string): void {
  if (source.includes('\0')) throw invalid(`Invalid ${what}: it contains a NUL character.`)
}

function tokenAt(source: string, position: number): Token {
  const first = source[position] ?? ''
  const number = NUMBER_START.test(first) ? numberEnd(source, position) : undefined
  if (number !== undefined) return cut(source, 'number', position, number)
  if (first === "'") {
    const end = endOf([SINGLE_QUOTED], source, position)
    return end ? cut(source, 'text', position, end) : cut(source, 'other', position, position + 1)
  }
  const operator = endOf([OPERATOR], source, position)
  if (operator !== undefined) return cut(source, 'operator', position, operator)
  const path = pathEnd(source, position)
  if (path === undefined) return cut(source, 'other', position, position + 1)
  const token = cut(source, 'name', position, path)
  const word = path - position <= KEYWORD_LENGTH_MAX ? token.text.toUpperCase() : ''
  return KEYWORDS.has(word) ? { type: 'keyword', text: word, position } : token
}

/** Digits that a name goes on with are no number: `1st`, `1.2.3`. */
function numberEnd(source: string, position: number): number | undefined {
  const end = endOf([NUMBER], source, position)
  return end !== undefined && GOES_ON.test(source[end] ?? '') ? undefined : end
}

/** A path may end in a dot: MLflow takes `metrics.x.` for the metric named "x.". */
function pathEnd(source: string, position: number): number | undefined {
  let end = endOf(PATH_START, source, position)
  while (end !== undefined && source[end] === '.')
    end = endOf(PATH_PART, source, end + 1) ?? end + 1
  return end
}

function endOf(patterns: readonly RegExp[], source: string, position: number): number | undefined {
  for (const pattern of patterns) {
    pattern.lastIndex = position
    if (pattern.test(source)) return pattern.lastIndex
  }
  return undefined
}

function cut(source: string, type: TokenType, position: number, end: number): Token {
  return { type, text: source.slice(position, end), position }
}

/** Outermost balanced parentheses become one token each; one pass, so nesting costs nothing. */
function groupLists(source: string, tokens: Token[]): Token[] {
  const open: number[] = []
  const closeByOpen = new Map<number, number>()
  for (const [index, { type, text }] of tokens.entries()) {
    if (type !== 'other') continue
    if (text === '(') open.push(index)
    if (text === ')' && open.length > 0) closeByOpen.set(open.pop() ?? index, index)
  }
  if (closeByOpen.size === 0) return tokens

  const grouped: Token[] = []
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index]
    const close = closeByOpen.get(index)
    const last = close === undefined ? undefined : tokens[close]
    if (token === undefined) break
    if (close === undefined || last === undefined) {
      grouped.push(token)
      continue
    }
    const list = cut(source, 'list', token.position, last.position + 1)
    grouped.push({ ...list, items: tokens.slice(index + 1, close) })
    index = close
  }
  return grouped
}
