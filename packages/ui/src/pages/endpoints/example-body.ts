import { parse } from 'yaml'

/** A column of a signature, as far as it takes to type a row. */
export interface InputColumn {
  name: string
  type: string
  isRequired: boolean
}

/** What an MLmodel file says about how its model can be asked. */
export interface ModelExample {
  /** A file beside it with a whole request, or with something to wrap into one. */
  file?: { path: string; wrap?: 'dataframe_split' }
  /** Of a table; empty for tensors and for a model without a signature. */
  columns: InputColumn[]
  /** A request of zeros for a signature of tensors. */
  tensorBody?: string
}

const NUMBERS = ['integer', 'long', 'float', 'double']
const TYPED = ['boolean', 'string', 'binary', 'datetime', ...NUMBERS]
const TENSOR_ITEMS_MAX = 1_000

/** Reads an MLmodel file; what is missing or malformed is left out. */
export function readModelExample(text: string): ModelExample {
  const model = asRecord(parse(text, { maxAliasCount: 100, logLevel: 'silent' }))
  const file = exampleFile(asRecord(model['saved_input_example_info']))
  const fields = jsonArray(asRecord(model['signature'])['inputs']).map(asRecord)
  const columns = fields.map((field): InputColumn => {
    const { name, type, required } = field
    return { name: String(name ?? ''), type: String(type), isRequired: required !== false }
  })
  const isTable = columns.every(({ name, type }) => name !== '' && TYPED.includes(type))
  const tensorBody = bodyOfTensors(fields)
  return {
    ...(file && { file }),
    columns: isTable ? columns : [],
    ...(tensorBody !== undefined && { tensorBody }),
  }
}

/** A row to begin with: what is optional is left empty. */
export function emptyRow(columns: readonly InputColumn[]): string[] {
  return columns.map(({ type, isRequired }) => {
    if (!isRequired) return ''
    if (NUMBERS.includes(type)) return '0'
    if (type === 'boolean') return 'false'
    return type === 'datetime' ? '2026-01-01T00:00:00' : ''
  })
}

/** The request for rows that were typed, as `dataframe_split`. */
export function splitBody(
  columns: readonly InputColumn[],
  rows: readonly (readonly string[])[],
): string {
  const names = columns.map(({ name }) => name)
  const values = rows.map((row) => columns.map((column, at) => valueOf(column, row[at] ?? '')))
  const lines = values.map((row) => `      ${JSON.stringify(row)}`).join(',\n')
  return `{\n  "dataframe_split": {\n    "columns": ${JSON.stringify(names)},\n    "data": [\n${lines}\n    ]\n  }\n}`
}

/** The rows of a request of that form, as texts to type on; undefined for any other request. */
export function rowsOfBody(columns: readonly InputColumn[], body: string): string[][] | undefined {
  const split = asRecord(asRecord(parse(body))['dataframe_split'])
  const names: unknown = split['columns']
  const { data } = split
  if (!Array.isArray(names) || !Array.isArray(data) || !data.every(Array.isArray)) return undefined
  return data.map((row: unknown[]) =>
    columns.map(({ name }) => {
      const value = row[names.indexOf(name)] ?? ''
      return typeof value === 'string' ? value : JSON.stringify(value)
    }),
  )
}

/** What cannot be read as its type is sent as it was typed, for the model to refuse. */
function valueOf({ type, isRequired }: InputColumn, text: string): unknown {
  if (text === '' && (!isRequired || type !== 'string')) return null
  if (NUMBERS.includes(type)) return Number.isFinite(Number(text)) ? Number(text) : text
  if (type === 'boolean' && /^(?:true|false)$/i.test(text)) return text.toLowerCase() === 'true'
  return text
}

function exampleFile(example: Record<string, unknown>): ModelExample['file'] {
  const { serving_input_path, artifact_path, type, pandas_orient } = example
  if (typeof serving_input_path === 'string') return { path: serving_input_path }
  if (typeof artifact_path !== 'string') return undefined
  if (type === 'dataframe' && pandas_orient === 'split') {
    return { path: artifact_path, wrap: 'dataframe_split' }
  }
  // MLflow writes arrays as the request that they are.
  return type === 'ndarray' ? { path: artifact_path } : undefined
}

function bodyOfTensors(fields: readonly Record<string, unknown>[]): string | undefined {
  const shapes = fields.map((field) => asRecord(field['tensor-spec'])['shape'])
  if (shapes.length === 0 || !shapes.every(isShape)) return undefined
  const items = shapes.flat().map((size) => (size < 0 ? 1 : size))
  if (items.reduce((product, size) => product * size, 1) > TENSOR_ITEMS_MAX) return undefined
  const [only] = shapes
  const names = fields.map((field) => field['name'])
  const inputs =
    only && shapes.length === 1 && typeof names[0] !== 'string'
      ? zeros(only)
      : Object.fromEntries(shapes.map((shape, at) => [String(names[at]), zeros(shape)]))
  return JSON.stringify({ inputs })
}

function isShape(shape: unknown): shape is number[] {
  return Array.isArray(shape) && shape.every((size) => typeof size === 'number')
}

function zeros([size, ...rest]: number[]): unknown {
  if (size === undefined) return 0
  return Array.from({ length: size < 0 ? 1 : size }, () => zeros(rest))
}

/** Signatures are JSON texts inside of YAML. */
function jsonArray(text: unknown): unknown[] {
  if (typeof text !== 'string') return []
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : []
  } catch {
    return []
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
