import { ApiError } from '@millrace/api/errors'
import { type Column, castColumn, columnOf, type DataTable } from './data-table.ts'
import { type NumericSignature, namedTypes } from './numeric-signature.ts'
import type { Json } from './python-json.ts'

// pandas `STR_NA_VALUES`.
const MISSING = new Set(
  (
    '|#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|' +
    'nan|null'
  ).split('|'),
)
const INTEGER = /^\s*[-+]?\d{1,18}\s*$/
const FLOAT = /^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$/
const INFINITY = /^\s*([-+]?)inf(inity)?\s*$/i

/**
 * Reads CSV with a header as `pandas.read_csv` does; columns that the signature knows, by their names
 * or places, get its types, the others the one that fits their cells.
 *
 * @throws ApiError BAD_REQUEST when it is not such a file, and for tensors, which CSV cannot hold
 */
export function readCsv(text: string, signature: NumericSignature | undefined): DataTable {
  if (signature?.kind === 'tensors') throw notCsv('TensorSpec only supports numpy types')
  const types = namedTypes(signature)
  const [header, ...rows] = csvRows(text)
  if (!header) throw notCsv('No columns to parse from file')
  if (new Set(header).size < header.length) throw notCsv('Two columns have one name')
  const wide = rows.findIndex((row) => row.length > header.length)
  if (wide >= 0) {
    throw notCsv(
      `Expected ${header.length} fields in row ${wide + 1}, saw ${rows[wide]?.length}: ` +
        'columns without a name are not understood',
    )
  }
  const columns = header.map((name, place): Column => {
    const cells = rows.map((row) => row[place] ?? '')
    const type = types.size > 0 ? types.get(name) : signature?.inputs[place]?.type
    const column = columnOf(name, csvValues(cells), 'csv')
    return type && type !== column.type ? castColumn(column, type) : column
  })
  return { columns, rowCount: rows.length }
}

/** The cells of a column as the narrowest of whole numbers, floats, truth values and text. */
function csvValues(cells: string[]): Json[] {
  const filled = cells.filter((cell) => !MISSING.has(cell))
  const isEach = (pattern: RegExp) => filled.every((cell) => pattern.test(cell))
  const read = (one: (cell: string) => Json) =>
    cells.map((cell) => (MISSING.has(cell) ? Number.NaN : one(cell)))
  if (filled.length > 0 && isEach(INTEGER))
    return read((cell) => BigInt(cell.trim().replace('+', '')))
  if (filled.every((cell) => FLOAT.test(cell) || INFINITY.test(cell))) return read(floatOf)
  if (isEach(/^(true|false|True|False|TRUE|FALSE)$/)) {
    return read((cell) => cell.toLowerCase() === 'true')
  }
  return read((cell) => cell)
}

function floatOf(cell: string): number {
  const infinite = INFINITY.exec(cell)
  if (!infinite) return Number(cell)
  return infinite[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

/** The rows of cells; empty lines are none. */
function csvRows(text: string): string[][] {
  const rows: string[][] = []
  let row: string[] = []
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/y
  while (cell.lastIndex < text.length) {
    const found = cell.exec(text)
    if (!found) throw notCsv(`A quotation mark in line ${rows.length + 1} is out of place`)
    const [, quoted, plain = '', end] = found
    row.push(quoted?.replaceAll('""', '"') ?? plain)
    if (end === ',') {
      // A comma at the very end leaves an empty cell behind.
      if (cell.lastIndex < text.length) continue
      row.push('')
    }
    if (row.length > 1 || quoted !== undefined || row[0]?.trim()) rows.push(row)
    row = []
  }
  return rows
}

function notCsv(reason: string): ApiError {
  return new ApiError(
    'BAD_REQUEST',
    'Failed to parse input as a Pandas DataFrame. Ensure that the input is a valid CSV-formatted ' +
      'Pandas DataFrame produced using the `pandas.DataFrame.to_csv()` method. ' +
      `Error: '${reason}'`,
  )
}
