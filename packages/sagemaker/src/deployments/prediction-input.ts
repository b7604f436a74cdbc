import { invalid } from '@millrace/api/errors'

/** A request to a model. */
export interface PredictionInput {
  body: string
  contentType: 'application/json' | 'text/csv'
}

const SCORING_KEYS = ['dataframe_split', 'dataframe_records', 'instances', 'inputs']

/**
 * What a file asks a model. JSON is read as `pandas.read_json` reads it (columns with their values by
 * index or in a list, or a list of rows) and sent as `dataframe_split`, as MLflow's client does; a
 * scoring request is sent as it is, and so is CSV.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for JSON that is neither
 */
export function predictionInput(text: string, format: 'json' | 'csv'): PredictionInput {
  if (format === 'csv') return { body: text, contentType: 'text/csv' }
  const value = parse(text)
  const isRequest = isObject(value) && SCORING_KEYS.some((key) => key in value)
  const body = isRequest ? text : JSON.stringify({ dataframe_split: toSplit(value) })
  return { body, contentType: 'application/json' }
}

interface SplitFrame {
  index: (string | number)[]
  columns: (string | number)[]
  data: unknown[][]
}

function toSplit(value: unknown): SplitFrame {
  if (Array.isArray(value)) return rowsToSplit(value)
  if (isObject(value)) return columnsToSplit(value)
  throw invalid('The input is neither rows nor columns: it must be a JSON object or list.')
}

function rowsToSplit(rows: unknown[]): SplitFrame {
  const index = rows.map((_row, position) => position)
  if (rows.every(isObject)) {
    const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
    return { index, columns, data: rows.map((row) => columns.map((name) => row[name] ?? null)) }
  }
  const lists = rows.map((row) => (Array.isArray(row) ? row : [row]))
  const width = Math.max(0, ...lists.map((row) => row.length))
  const columns = Array.from({ length: width }, (_, position) => position)
  return { index, columns, data: lists.map((row) => columns.map((at) => row[at] ?? null)) }
}

function columnsToSplit(frame: Record<string, unknown>): SplitFrame {
  const columns = Object.keys(frame)
  const values = columns.map((name) => {
    const column = frame[name]
    if (Array.isArray(column))
      return Object.fromEntries(column.map((cell, at) => [String(at), cell]))
    if (isObject(column)) return column
    throw invalid(`The column '${name}' of the input is neither a list nor an object by index.`)
  })
  const keys = [...new Set(values.flatMap((column) => Object.keys(column)))]
  const isNumbered = keys.every((key) => /^-?\d{1,15}$/.test(key))
  return {
    index: isNumbered ? keys.map(Number) : keys,
    columns,
    data: keys.map((key) => values.map((column) => column[key] ?? null)),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw invalid(`The input is not JSON: ${error instanceof Error ? error.message : error}`)
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
