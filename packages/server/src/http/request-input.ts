import { ApiError, invalid } from '@millrace/api/errors'
import { Bool } from '@millrace/api/wire'
import { z } from 'zod'
import { shownJson } from '../shown-json.ts'
import { parseLenientJson } from './lenient-json.ts'

/**
 * Reads the input of a JSON endpoint as MLflow does (3.17 `_get_request_message`): a body that is
 * not JSON counts as empty and then lacks its required fields, JSON text inside a JSON string is
 * read twice, `null` counts as absent, fields may be spelt in camelCase.
 */
export function readBody(bytes: Buffer | undefined, fields: Fields): Record<string, unknown> {
  if (bytes === undefined || bytes.length === 0) return {}
  const text = withoutMark(bytes.toString('utf8'))
  let body = parseLenientJson(text)
  if (typeof body?.value === 'string') body = parseLenientJson(body.value)
  const value = body?.value
  if (body === undefined || value === null || typeof value !== 'object' || Array.isArray(value)) {
    return {}
  }
  if (body.traits.hasNulls) dropNulls(value)
  const input = value as Record<string, unknown>
  if (body.traits.hasCamelCase) renameCamelCase(input, fields)
  return input
}

/** Passes over the byte order mark that some Windows clients begin with. */
function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

/** Content types of a JSON body; only POST and PUT are checked, as in MLflow. */
export function checkContentType(method: string, contentType: string | undefined): void {
  if (method !== 'POST' && method !== 'PUT') return
  if (contentType === undefined || contentType === '') {
    throw invalid('Bad Request. Content-Type header is missing.')
  }
  const [mediaType] = contentType.split(';')
  if (mediaType?.trim().toLowerCase() !== 'application/json') {
    throw invalid("Bad Request. Content-Type must be one of ['application/json'].")
  }
}

/** Reads a query string: repeated keys of list fields become lists, others keep their first. */
export function readQuery(
  query: Record<string, string | string[] | undefined>,
  fields: Fields,
): Record<string, unknown> {
  const input: Record<string, unknown> = {}
  for (const [spelling, value] of Object.entries(query)) {
    const name = fields.byCamelCase.get(spelling) ?? spelling
    if (value === undefined) continue
    if (fields.lists.has(name)) input[name] = Array.isArray(value) ? value : [value]
    else input[name] = Array.isArray(value) ? value[0] : value
    if (fields.booleans.has(name) && !/^(true|false)$/i.test(String(input[name]))) {
      throw invalid(`Invalid boolean value: ${input[name]}, must be 'true' or 'false'.`)
    }
  }
  return input
}

/** What `readBody` and `readQuery` need to know of an input schema, worked out once. */
export interface Fields {
  lists: Set<string>
  booleans: Set<string>
  byCamelCase: Map<string, string>
}

export function fieldsOf(schema: z.ZodType): Fields {
  const fields: Fields = { lists: new Set(), booleans: new Set(), byCamelCase: new Map() }
  if (!(schema instanceof z.ZodObject)) return fields
  for (const [name, declared] of Object.entries<z.ZodType>(schema.shape)) {
    const field = declared instanceof z.ZodOptional ? declared.unwrap() : declared
    if (field instanceof z.ZodArray) fields.lists.add(name)
    if (field === Bool) fields.booleans.add(name)
    if (name.includes('_')) fields.byCamelCase.set(toCamelCase(name), name)
  }
  return fields
}

function toCamelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function toSnakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function renameCamelCase(input: Record<string, unknown>, fields: Fields): void {
  for (const [spelling, value] of Object.entries(input)) {
    const name = fields.byCamelCase.get(spelling) ?? spelling
    if (name !== spelling) {
      if (name in input) {
        throw invalid(
          `Request specifies both '${name}' and '${spelling}'; provide only one of them.`,
        )
      }
      delete input[spelling]
      input[name] = value
    }
    renameNested(value)
  }
}

/** Deeper than any message of the API; refused before recursion could exhaust the stack. */
const DEPTH_MAX = 100

function checkDepth(depth: number): void {
  if (depth > DEPTH_MAX) throw invalid(`The request nests deeper than ${DEPTH_MAX} levels.`)
}

function renameNested(value: unknown, depth = 0): void {
  checkDepth(depth)
  if (Array.isArray(value)) for (const element of value) renameNested(element, depth + 1)
  else if (value !== null && typeof value === 'object') {
    const record = value as Record<string, unknown>
    for (const [spelling, nested] of Object.entries(record)) {
      const name = toSnakeCase(spelling)
      if (name !== spelling) {
        if (name in record) {
          throw invalid(
            `Request specifies both '${name}' and '${spelling}'; provide only one of them.`,
          )
        }
        delete record[spelling]
        record[name] = nested
      }
      renameNested(nested, depth + 1)
    }
  }
}

function dropNulls(value: object, depth = 0): void {
  checkDepth(depth)
  const record = value as Record<string, unknown>
  for (const name in record) {
    const nested = record[name]
    if (nested === null && !Array.isArray(value)) delete record[name]
    else if (nested !== null && typeof nested === 'object') dropNulls(nested, depth + 1)
  }
}

/** Parses input by its schema; refuses it in MLflow's words. */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  input: Record<string, unknown>,
): z.output<Schema> {
  const parsed = schema.safeParse(input)
  if (parsed.success) return parsed.data
  throw inputError(parsed.error, input)
}

const ADVICE = 'See the API docs for more information about request parameters.'

function inputError(error: z.ZodError, input: unknown): ApiError {
  const path = error.issues[0]?.path ?? []
  let value: unknown = input
  for (const key of path) value = (value as Record<PropertyKey, unknown> | undefined)?.[key]
  const name = path.reduce<string>(
    (text, key) =>
      typeof key === 'number'
        ? `${text}[${key}]`
        : text === ''
          ? String(key)
          : `${text}.${String(key)}`,
    '',
  )
  if (value === undefined || value === '') {
    return invalid(`Missing value for required parameter '${name}'. ${ADVICE}`)
  }
  return invalidValue(name, value)
}

/** 400 for a value of the wrong type, as MLflow's `invalid_value` words it. */
export function invalidValue(name: string, value: unknown): ApiError {
  return invalid(
    `Invalid value ${shownJson(value)} for parameter '${name}' supplied:  Hint: Value was of type '${pythonType(value)}'. ${ADVICE}`,
  )
}

function pythonType(value: unknown): string {
  if (typeof value === 'string') return 'str'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'number') return Number.isInteger(value) ? 'int' : 'float'
  if (typeof value === 'bigint') return 'int'
  return Array.isArray(value) ? 'list' : 'dict'
}
