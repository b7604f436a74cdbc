import { ApiError } from '@millrace/api/errors'
import { columnType, convertItem, type Item, type ItemType, unify } from './number-array.ts'
import type { Json } from './python-json.ts'

/** A pandas DataFrame, as far as numbers go. */
export interface DataTable {
  columns: Column[]
  rowCount: number
}

export interface Column {
  /** A number where the sender named none. */
  name: string | number
  type: ItemType
  items: Item[]
}

const SPLIT_KEYS = ['columns', 'data', 'index']

/**
 * The table of a `dataframe_split` (MLflow 3.17 `dataframe_from_parsed_json`).
 *
 * @throws ApiError BAD_REQUEST
 */
export function tableOfSplit(value: Json): DataTable {
  if (!(value instanceof Map)) {
    throw invalidInput(`Dataframe split format must be a dictionary. Got ${typeText(value)}.`)
  }
  const keys = [...value.keys()]
  const data = value.get('data')
  if (data === undefined || keys.some((key) => !SPLIT_KEYS.includes(key))) {
    throw invalidInput(
      "Dataframe split format must have 'data' field and optionally 'columns' and 'index' fields. " +
        `Got {${keys.map((key) => `'${key}'`).join(', ')}}.'`,
    )
  }
  if (!Array.isArray(data)) throw notFrame('split', `data of ${typeText(data)} is not understood`)
  const rows = data.map((row) => (Array.isArray(row) ? row : [row]))
  const names = value.get('columns') ?? null
  const widest = rows.reduce((most, row) => Math.max(most, row.length), 0)
  const width = Array.isArray(names) ? names.length : widest
  // A shorter row ends in missing values.
  if (rows.length > 0 && widest !== width) {
    throw notFrame('split', `${width} columns passed, passed data had ${widest} columns`)
  }
  const index = value.get('index') ?? null
  if (index !== null && !(Array.isArray(index) && index.length === rows.length)) {
    throw notFrame('split', `the index is not that of ${rows.length} rows`)
  }
  const columns = Array.from({ length: width }, (_, place) => {
    const name = Array.isArray(names) ? columnName(names[place] ?? null) : place
    return columnOf(
      name,
      rows.map((row) => row[place] ?? null),
      'split',
    )
  })
  return checked(columns, rows.length, 'split')
}

/**
 * The table of `dataframe_records` (MLflow 3.17 `dataframe_from_parsed_json`).
 *
 * @throws ApiError BAD_REQUEST
 */
export function tableOfRecords(value: Json): DataTable {
  if (!Array.isArray(value)) {
    const got = value instanceof Map ? 'dictionary' : typeText(value)
    throw invalidInput(`Dataframe records format must be a list of records. Got ${got}.`)
  }
  const rows = value.map((row) => {
    if (row instanceof Map) return row
    throw notFrame('records', 'a record is not a dictionary')
  })
  const names = new Set(rows.flatMap((row) => [...row.keys()]))
  const columns = [...names].map((name) =>
    columnOf(
      name,
      rows.map((row) => row.get(name) ?? null),
      'records',
    ),
  )
  return { columns, rowCount: rows.length }
}

/** A column as pandas makes it of Python's values. */
export function columnOf(name: string | number, values: Json[], orient: string): Column {
  const type = columnType(values)
  const items = unify(values, type).map((item) => {
    if (!Array.isArray(item) && !(item instanceof Map)) return item
    throw notFrame(orient, `lists and dictionaries in column ${name} are not understood`)
  })
  return { name, type, items }
}

/**
 * The column as another type; text is read as numbers (MLflow 3.17
 * `cast_df_types_according_to_schema`).
 *
 * @throws ApiError BAD_REQUEST naming the column
 */
export function castColumn({ name, type, items }: Column, to: ItemType): Column {
  if (type === to) return { name, type, items }
  try {
    return { name, type: to, items: items.map((item) => convertItem(item, to)) }
  } catch (error) {
    throw invalidInput(
      'Data is not compatible with model signature. ' +
        `Failed to convert column ${name} to type '${to}'. ` +
        `Error: '${error instanceof Error ? error.message : String(error)}'`,
    )
  }
}

/** Throws where pandas would go on with two columns of one name. */
function checked(columns: Column[], rowCount: number, orient: string): DataTable {
  if (new Set(columns.map(({ name }) => name)).size === columns.length) return { columns, rowCount }
  throw notFrame(orient, 'two columns have one name')
}

function columnName(name: Json): string | number {
  if (typeof name === 'string') return name
  if (typeof name === 'bigint' || typeof name === 'number') return Number(name)
  throw notFrame('split', 'the columns are not named by text')
}

function notFrame(orient: string, why: string): ApiError {
  return invalidInput(
    `Provided dataframe_${orient} field is not a valid dataframe representation in '${orient}' ` +
      `format. Error: '${why}'`,
  )
}

function typeText(value: Json): string {
  if (Array.isArray(value)) return 'list'
  if (value instanceof Map) return "type <class 'dict'>"
  if (value === null) return "type <class 'NoneType'>"
  const names = { string: 'str', boolean: 'bool', bigint: 'int', number: 'float' } as const
  return `type <class '${names[typeof value as keyof typeof names]}'>`
}

/** 400 in the words of MLflow 3.17 `MlflowInvalidInputException`. */
export function invalidInput(message: string): ApiError {
  return new ApiError('BAD_REQUEST', `Invalid input. ${message}`)
}
