import { createHash } from 'node:crypto'
import { type ApiError, invalid } from '@millrace/api/errors'
import { z } from 'zod'
import { echo } from './filter.ts'

/**
 * Exports page tokens: ours name the last row of a page by its sort values, so that rows written
 * or deleted meanwhile neither repeat nor hide others; MLflow's name an offset and are taken too,
 * for clients that hold one. Source of the offset form: MLflow 3.17
 * `SearchUtils.parse_start_offset_from_page_token`.
 */

/** What a row is sorted by, column by column. */
export type SortValue = string | number | bigint | null

/** Where a page begins: after a row, after that many rows, or at the first one. */
export type PageStart = { after: readonly SortValue[] } | { offset: number } | undefined

export interface PageTokenOwner {
  /** Which kind of search the token is for. */
  entity: string
  /** All that decides which rows there are and in which order. */
  request: unknown
  /** The type of each sort column; any of them may be null. */
  columns: readonly ('number' | 'text')[]
}

const VERSION = 1

/** Numbers that JSON cannot hold travel as `{ n: text }`. */
const Value = z.union([z.string(), z.number(), z.null(), z.strictObject({ n: z.string() })])
const OwnToken = z.strictObject({
  v: z.literal(VERSION),
  e: z.string(),
  r: z.string(),
  k: z.array(Value),
})

/** The token of the page after the row with these sort values. */
export function pageTokenAfter(values: readonly SortValue[], owner: PageTokenOwner): string {
  const token: z.input<typeof OwnToken> = {
    v: VERSION,
    e: owner.entity,
    r: fingerprint(owner),
    k: values.map(toJson),
  }
  return Buffer.from(JSON.stringify(token)).toString('base64url')
}

/** Reads a token; throws INVALID_PARAMETER_VALUE for any that was not given out for this search. */
export function parsePageToken(token: string | undefined, owner: PageTokenOwner): PageStart {
  if (!token) return undefined
  const decoded = decode(token)
  const content = parseJson(decoded)
  const own = OwnToken.safeParse(content)
  if (own.success) return { after: readOwn(own.data, owner) }
  return { offset: readOffset(content, decoded) }
}

function readOwn(token: z.output<typeof OwnToken>, owner: PageTokenOwner): SortValue[] {
  if (token.e !== owner.entity) {
    throw invalid(`Invalid page token: it belongs to a search of ${echo(token.e)}.`)
  }
  if (token.r !== fingerprint(owner)) {
    throw invalid(
      'Invalid page token: it belongs to a search with another filter, order or scope. ' +
        'Repeat the request of the page before with this token added.',
    )
  }
  const values = token.k.map(fromJson)
  const areTyped =
    values.length === owner.columns.length &&
    values.every((value, index) => value === null || typeName(value) === owner.columns[index])
  if (!areTyped) throw invalid('Invalid page token: its row does not fit this search.')
  return values
}

function readOffset(content: unknown, decoded: string): number {
  const offset = isRecord(content) ? content['offset'] : undefined
  if (!offset) throw invalid(`Invalid page token, parsed value=${echo(decoded)}`)
  const number = Number(offset)
  const isPlain = typeof offset === 'number' || (typeof offset === 'string' && /^\d+$/.test(offset))
  if (!isPlain || !Number.isSafeInteger(number) || number < 0) {
    throw invalid(`Invalid page token, not stringable ${echo(JSON.stringify(offset))}`)
  }
  return number
}

function decode(token: string): string {
  const [, body, padding] = /^([A-Za-z0-9+/_-]*)(={0,2})$/.exec(token) ?? []
  const isPadded = padding !== undefined && padding.length > 0
  const length = token.length
  if (body === undefined || length % 4 === 1 || (isPadded && length % 4 !== 0)) {
    throw invalid('Invalid page token, could not base64-decode')
  }
  return Buffer.from(body, 'base64').toString()
}

function parseJson(decoded: string): unknown {
  try {
    return JSON.parse(decoded)
  } catch (cause) {
    throw undecodable(decoded, cause)
  }
}

function undecodable(decoded: string, cause: unknown): ApiError {
  const error = invalid(`Invalid page token, decoded value=b'${echo(decoded)}'`)
  error.cause = cause
  return error
}

function fingerprint({ request, columns }: PageTokenOwner): string {
  const text = JSON.stringify([request, columns], (_key, value) =>
    typeof value === 'bigint' ? `${value}n` : value,
  )
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

function toJson(value: SortValue): z.input<typeof Value> {
  if (typeof value === 'bigint') return { n: String(value) }
  return typeof value === 'number' && !Number.isFinite(value) ? { n: String(value) } : value
}

function fromJson(value: z.output<typeof Value>): SortValue {
  if (value === null || typeof value !== 'object') return value
  if (value.n === 'Infinity' || value.n === '-Infinity') return Number(value.n)
  const isInteger = /^-?\d{1,19}$/.test(value.n)
  const exact = isInteger ? BigInt(value.n) : undefined
  if (exact === undefined || BigInt.asIntN(64, exact) !== exact) {
    throw invalid(`Invalid page token: '${echo(value.n)}' is no number.`)
  }
  return exact
}

function typeName(value: string | number | bigint): 'number' | 'text' {
  return typeof value === 'string' ? 'text' : 'number'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
