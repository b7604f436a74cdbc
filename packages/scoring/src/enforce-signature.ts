import { invalid } from '@millrace/api/errors'
import type { Column, DataTable } from './data-table.ts'
import { convertItem, type Item, type ItemType, type NumberArray } from './number-array.ts'
import type { NumericColumn, NumericSignature, NumericTensor } from './numeric-signature.ts'
import type { ScoringInput } from './scoring-body.ts'

/**
 * The input as the signature wants it: columns in its order, tensors of its shapes (MLflow 3.17
 * `_enforce_schema`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE with what does not fit
 */
export function enforceSignature(input: ScoringInput, signature: NumericSignature): ScoringInput {
  return signature.kind === 'columns'
    ? { kind: 'table', table: enforceColumns(tableOf(input), signature.inputs) }
    : enforceTensors(input, signature.inputs)
}

function enforceColumns({ columns, rowCount }: DataTable, wanted: NumericColumn[]): DataTable {
  if (wanted[0]?.name === undefined) {
    if (columns.length < wanted.length) {
      throw unfit(
        `Model inference is missing inputs. The model signature declares ${wanted.length} inputs  ` +
          `but the provided value only has ${columns.length} inputs. Note: the inputs were not ` +
          'named in the signature so we can only verify their count.',
      )
    }
    const kept = wanted.flatMap(({ type }, place) => {
      const column = columns[place]
      return column ? enforceType(column, type) : []
    })
    return { columns: kept, rowCount }
  }
  refuseMissing(
    wanted,
    columns.map(({ name }) => name),
  )
  const kept = wanted.flatMap(({ name, type }) => {
    const column = columns.find((one) => one.name === name)
    return column ? enforceType(column, type) : []
  })
  return { columns: kept, rowCount }
}

function refuseMissing(
  wanted: readonly (NumericColumn | NumericTensor)[],
  given: (string | number)[],
): void {
  const missing = wanted.flatMap((input) => {
    const isRequired = !('isRequired' in input) || input.isRequired
    return isRequired && input.name !== undefined && !given.includes(input.name) ? input.name : []
  })
  if (missing.length === 0) return
  const extra = given.filter((name) => !wanted.some((input) => input.name === name))
  const more = extra.length > 0 ? ` Note that there were extra inputs: ${listText(extra)}.` : ''
  throw unfit(`Model is missing inputs ${listText(missing)}.${more}`)
}

/** Converts where nothing is lost: MLflow 3.17 `_enforce_mlflow_datatype`. */
function enforceType(column: Column, to: ItemType): Column {
  const { name, type, items } = column
  if (type === to) return column
  const isBit = (item: Item) => item === 0n || item === 1n
  const isSafe =
    type !== 'object' &&
    ((kindOf(type) === kindOf(to) && bitsOf(type) <= bitsOf(to)) ||
      (kindOf(type) === 'u' && kindOf(to) === 'i' && bitsOf(type) < bitsOf(to)) ||
      ('iu'.includes(kindOf(type)) && to === 'float64' && bitsOf(type) < 64) ||
      (type === 'int64' && kindOf(to) === 'f' && items.every(isBit)))
  if (isSafe) return { name, type: to, items: items.map((item) => convertItem(item, to)) }
  throw unfit(
    `Incompatible input types for column ${name}. Can not safely convert ${type} to ${to}.`,
  )
}

function kindOf(type: ItemType): string {
  return type.slice(0, 1)
}

function bitsOf(type: ItemType): number {
  return type === 'bool' ? 8 : Number(type.replace(/^\D+/, ''))
}

/** What pandas makes a table of. */
function tableOf(input: ScoringInput): DataTable {
  if (input.kind === 'table') return input.table
  if (input.kind === 'array') return tableOfArray(input.array)
  const arrays = [...input.arrays]
  const lists = arrays.filter(([, { shape }]) => shape.length > 0)
  if (lists.length === 0) {
    const columns = arrays.map(([name, { type, items }]): Column => ({ name, type, items }))
    return { columns, rowCount: 1 }
  }
  const rowCount = lists[0]?.[1].shape[0] ?? 0
  const columns = arrays.map(([name, { type, shape, items }]): Column => {
    if (shape.length > 1) {
      throw unfit(`Incompatible input types for column ${name}. Can not safely convert lists.`)
    }
    const value = items[0] ?? null
    if (shape.length === 0) return { name, type, items: Array<Item>(rowCount).fill(value) }
    if (shape[0] === rowCount) return { name, type, items }
    throw unfit(
      'This model contains a column-based signature, which suggests a DataFrame input. There was ' +
        'an error casting the input data to a DataFrame: All arrays must be of the same length',
    )
  })
  return { columns, rowCount }
}

function tableOfArray({ type, shape, items }: NumberArray): DataTable {
  const [rowCount = 1, width = 1, ...deeper] = shape
  if (deeper.length > 0) throw unfit(`Must pass 2-d input. shape=${shapeText(shape)}`)
  const columns = Array.from({ length: width }, (_, place): Column => {
    const own = items.filter((_item, index) => index % width === place)
    return { name: place, type, items: own }
  })
  return { columns, rowCount }
}

function enforceTensors(input: ScoringInput, wanted: NumericTensor[]): ScoringInput {
  const [first] = wanted
  if (first && first.name === undefined)
    return { kind: 'array', array: unnamedTensor(input, first) }
  const given = namedArrays(input, wanted)
  refuseMissing(wanted, [...given.keys()])
  const arrays = new Map<string, NumberArray>()
  for (const tensor of wanted) {
    const { name = '' } = tensor
    const value = given.get(name)
    if (!value) continue
    const array = 'name' in value ? columnTensor(value, tensor) : enforceTensor(value, tensor)
    arrays.set(name, array)
  }
  return { kind: 'arrays', arrays }
}

function namedArrays(
  input: ScoringInput,
  wanted: NumericTensor[],
): Map<string | number, NumberArray | Column> {
  if (input.kind === 'arrays') return input.arrays
  if (input.kind === 'table') {
    return new Map(input.table.columns.map((column) => [column.name, column]))
  }
  const [only, ...others] = wanted
  return new Map(only?.name !== undefined && others.length === 0 ? [[only.name, input.array]] : [])
}

function unnamedTensor(input: ScoringInput, tensor: NumericTensor): NumberArray {
  if (input.kind === 'array') return enforceTensor(input.array, tensor)
  if (input.kind === 'arrays') {
    throw unfit('This model contains a tensor-based model signature with no input names.')
  }
  const { columns, rowCount } = input.table
  if (rowCount === 0 || columns.length === 0) throw unfit('Input DataFrame is empty.')
  const [only, ...others] = columns
  if (only && others.length === 0) return columnTensor(only, tensor)
  const { shape } = tensor
  if (shape.length !== 2 || shape[0] !== -1 || shape[1] !== columns.length) {
    throw unfit(
      'This model contains a model signature with an unnamed input. Since the input data is a ' +
        'pandas DataFrame containing multiple columns, the input shape must be of the structure ' +
        `(-1, number_of_dataframe_columns). Instead, the input DataFrame passed had ` +
        `${columns.length} columns and an input shape of ${shapeText(shape)}.`,
    )
  }
  return enforceTensor(valuesOf(input.table), tensor)
}

/** MLflow 3.17 `_reshape_and_cast_pandas_column_values`, for columns of single values. */
function columnTensor({ name, items }: Column, tensor: NumericTensor): NumberArray {
  const { shape, type } = tensor
  const isRow = shape.length === 1 && shape[0] === -1
  if (!isRow && !(shape.length === 2 && shape[0] === -1 && shape[1] === 1)) {
    throw unfit(
      `The input pandas dataframe column '${name}' contains scalar values, which requires the ` +
        `shape to be (-1,) or (-1, 1), but got tensor spec shape of ${shapeText(shape)}.`,
    )
  }
  const converted = items.map((item) => convertItem(item, type))
  return { type, shape: isRow ? [items.length] : [items.length, 1], items: converted }
}

/** MLflow 3.17 `_enforce_tensor_spec`. */
function enforceTensor(array: NumberArray, { shape, type }: NumericTensor): NumberArray {
  const fits =
    array.shape.length === shape.length &&
    shape.every((length, place) => length === -1 || length === array.shape[place])
  if (!fits) {
    throw unfit(
      `Shape of input ${shapeText(array.shape)} does not match expected shape ${shapeText(shape)}.`,
    )
  }
  if (array.type === type) return array
  throw unfit(`dtype of input ${array.type} does not match expected dtype ${type}`)
}

/** A table's cells in one array of the type that holds them all: pandas' `DataFrame.values`. */
export function valuesOf({ columns, rowCount }: DataTable): NumberArray {
  const type = commonType(columns.map((column) => column.type))
  const items: Item[] = []
  for (let row = 0; row < rowCount; row += 1) {
    for (const column of columns) {
      const item = column.items[row] ?? null
      items.push(type === column.type ? item : convertItem(item, type))
    }
  }
  return { type, shape: [rowCount, columns.length], items }
}

function commonType(types: readonly ItemType[]): ItemType {
  const [first = 'object', ...others] = new Set(types)
  if (others.length === 0) return first
  if (types.includes('object') || types.includes('bool')) return 'object'
  if (types.some((type) => type.startsWith('float'))) return 'float64'
  return types.some((type) => type.startsWith('uint')) ? 'object' : 'int64'
}

function listText(names: readonly (string | number)[]): string {
  return `[${names.map((name) => (typeof name === 'string' ? `'${name}'` : name)).join(', ')}]`
}

/** A shape as Python writes it. */
function shapeText(shape: readonly number[]): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`
}

function unfit(why: string) {
  return invalid(`Failed to enforce schema of the data. Error: ${why}`)
}
