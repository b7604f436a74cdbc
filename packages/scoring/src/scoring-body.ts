import { ApiError, invalid } from '@millrace/api/errors'
import {
  type Column,
  castColumn,
  columnOf,
  type DataTable,
  invalidInput,
  tableOfRecords,
  tableOfSplit,
} from './data-table.ts'
import { type NumberArray, toArray } from './number-array.ts'
import { type NumericSignature, namedTypes } from './numeric-signature.ts'
import { type Json, parsePythonJson } from './python-json.ts'

/** What a request holds, as MLflow gives it to a model. */
export type ScoringInput =
  | { kind: 'table'; table: DataTable }
  | { kind: 'array'; array: NumberArray }
  | { kind: 'arrays'; arrays: Map<string, NumberArray> }

const KEYS = ['dataframe_records', 'dataframe_split', 'instances', 'inputs']
// MLflow 3.17 `SUPPORTED_LLM_FORMATS`, whose bodies go to a model as they are.
const CHAT_KEYS = ['messages', 'prompt', 'input']

/**
 * Reads a body of JSON (MLflow 3.17 `scoring_server._parse_json_data`).
 *
 * @throws ApiError BAD_REQUEST
 */
export function readJsonBody(body: Buffer, signature: NumericSignature | undefined): ScoringInput {
  const value = parseBody(body)
  if (CHAT_KEYS.some((key) => value.has(key))) {
    const message = 'A model in the ONNX format takes no chats, prompts or texts.'
    throw signature ? invalid(message) : invalidInput(message)
  }
  const keys = [...value.keys()].filter((key) => KEYS.includes(key))
  const [key = ''] = keys
  if (keys.length !== 1) {
    const got = `{${keys.map((name) => `'${name}'`).join(', ')}}`
    throw new ApiError('BAD_REQUEST', `${REQUIRED}. Received dictionary with input fields: ${got}.`)
  }
  const data = value.get(key) ?? null
  switch (key) {
    case 'dataframe_split':
      return { kind: 'table', table: castTable(tableOfSplit(data), signature) }
    case 'dataframe_records':
      return { kind: 'table', table: castTable(tableOfRecords(data), signature) }
    case 'instances':
      return inWords(() => readInstances(data, signature))
    default:
      return inWords(() => readInputs(data, signature))
  }
}

const REQUIRED =
  'The input must be a JSON dictionary with exactly one of the input fields ' +
  `{${KEYS.map((key) => `'${key}'`).join(', ')}}`

function parseBody(body: Buffer): Map<string, Json> {
  let value: Json
  try {
    value = parsePythonJson(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw invalidInput(`Ensure that input is a valid JSON formatted string. Error: '${reason}'`)
  }
  if (value instanceof Map) return value
  if (Array.isArray(value)) throw invalidInput(`${REQUIRED}. Received a list.`)
  throw invalidInput(`${REQUIRED}. Received unexpected input type '${typeof value}.`)
}

/** The columns that the signature names, or all in its order, as it wants them. */
function castTable(table: DataTable, signature: NumericSignature | undefined): DataTable {
  if (!signature) return table
  const named = namedTypes(signature)
  const { inputs } = signature
  const wanted = ({ name }: Column, place: number) => {
    if (named.size > 0) return named.get(name)
    return signature.kind === 'tensors' && inputs.length === 1
      ? inputs[0]?.type
      : inputs[place]?.type
  }
  const columns = table.columns.map((column, place) => {
    const type = wanted(column, place)
    return type ? castColumn(column, type) : column
  })
  return { ...table, columns }
}

/** MLflow 3.17 `parse_instances_data`. */
function readInstances(data: Json, signature: NumericSignature | undefined): ScoringInput {
  if (!Array.isArray(data) || !(data[0] instanceof Map)) return readInputs(data, signature)
  const lists = new Map<string, Json[]>()
  for (const item of data) {
    if (!(item instanceof Map)) throw unreadable('an instance is not a dictionary')
    for (const [name, value] of item) {
      const list = lists.get(name)
      if (list) list.push(value)
      else lists.set(name, [value])
    }
  }
  const arrays = arraysOf(lists, signature)
  const required = (signature?.inputs ?? []).flatMap((input) =>
    'isRequired' in input && !input.isRequired ? [] : (input.name ?? []),
  )
  const checked = required.length > 0 ? required : [...arrays.keys()]
  const lengths = new Set(checked.flatMap((name) => arrays.get(name)?.shape[0] ?? []))
  if (lengths.size > 1) {
    throw invalidInput('The length of values for each input/column name are not the same')
  }
  return { kind: 'arrays', arrays }
}

/** MLflow 3.17 `_cast_schema_type`. */
function readInputs(data: Json, signature: NumericSignature | undefined): ScoringInput {
  const named = namedTypes(signature)
  const hasRecords = Array.isArray(data) && data.some((item) => item instanceof Map)
  const [only] = named.keys()
  if (named.size === 1 && Array.isArray(data) && !hasRecords) {
    return { kind: 'arrays', arrays: arraysOf(new Map([[String(only), data]]), signature) }
  }
  if (signature && named.size === 0 && (data === null || data instanceof Map)) {
    throw invalidInput(
      'Failed to parse input data. This model contains an un-named  model signature which expects ' +
        'a single n-dimensional array or a single value as input, however, an input of type ' +
        `<class '${data ? 'dict' : 'NoneType'}'> was found.`,
    )
  }
  if (data instanceof Map) return { kind: 'arrays', arrays: arraysOf(data, signature) }
  if (hasRecords) return rowsOf(data, signature)
  const type = signature?.inputs[0]?.type
  return { kind: 'array', array: converted(() => toArray(data, type)) }
}

/** A list of dictionaries, which only a signature of columns makes a table of. */
function rowsOf(data: Json[], signature: NumericSignature | undefined): ScoringInput {
  const rows = data.filter((item) => item instanceof Map)
  if (rows.length < data.length) throw unreadable('an input is not a dictionary')
  if (signature?.kind !== 'columns') {
    const message = 'A list of dictionaries is not what the model takes.'
    throw signature ? invalid(message) : invalidInput(message)
  }
  const named = namedTypes(signature)
  const names = new Set(rows.flatMap((row) => [...row.keys()]))
  const columns = [...names].map((name) => {
    const cells = rows.map((row): Json => {
      const cell = row.get(name)
      if (cell === undefined) return null
      const array = converted(() => toArray(cell, named.get(name)))
      if (array.shape.length > 0) throw unreadable(`lists in column ${name} are not understood`)
      return array.items[0] ?? null
    })
    const column = columnOf(name, cells, 'records')
    const type = named.get(name)
    return type && !cells.includes(null) ? castColumn(column, type) : column
  })
  return { kind: 'table', table: { columns, rowCount: rows.length } }
}

function arraysOf(
  lists: ReadonlyMap<string, Json>,
  signature: NumericSignature | undefined,
): Map<string, NumberArray> {
  const named = namedTypes(signature)
  const arrays = [...lists].map(
    ([name, list]) => [name, converted(() => toArray(list, named.get(name)))] as const,
  )
  return new Map(arrays)
}

function converted<T>(convert: () => T): T {
  try {
    return convert()
  } catch (error) {
    if (error instanceof ApiError) throw invalidInput(error.message)
    throw error
  }
}

function inWords<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof ApiError) throw error
    throw unreadable(error instanceof Error ? error.message : String(error))
  }
}

function unreadable(reason: string): ApiError {
  return invalidInput(`Ensure that the input is a valid JSON-formatted string.\nError: ${reason}`)
}
