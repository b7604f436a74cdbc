import { invalid } from '@millrace/api/errors'
import type { Signature } from '@millrace/models/signature'
import { type ItemType, isNumericType } from './number-array.ts'

/** The inputs of a signature of numbers: MLflow's schema of columns or of tensors. */
export type NumericSignature =
  | { kind: 'columns'; inputs: NumericColumn[] }
  | { kind: 'tensors'; inputs: NumericTensor[] }

export interface NumericColumn {
  /** Absent throughout or nowhere. */
  name: string | undefined
  type: ItemType
  isRequired: boolean
}

export interface NumericTensor {
  name: string | undefined
  type: ItemType
  /** -1 where any length will do. */
  shape: number[]
}

// MLflow 3.17 `DataType.to_numpy`.
const COLUMN_TYPES: Record<string, ItemType> = {
  boolean: 'bool',
  integer: 'int32',
  long: 'int64',
  float: 'float32',
  double: 'float64',
}

/**
 * What a signature says about a model's inputs; undefined when it says nothing.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for types that are no numbers, and for params
 */
export function numericSignature(signature: Signature | undefined): NumericSignature | undefined {
  if (signature?.params) throw invalid('its signature has params')
  const inputs = signature?.inputs
  if (!inputs?.length) return undefined
  const tensors: NumericTensor[] = []
  const columns: NumericColumn[] = []
  for (const field of inputs) {
    const { name } = field
    if (field.type === 'tensor') {
      const { dtype, shape } = field['tensor-spec']
      if (!isNumericType(dtype)) throw invalid(`its signature has a tensor of ${dtype}`)
      tensors.push({ name, type: dtype, shape })
      continue
    }
    const type = COLUMN_TYPES[field.type]
    if (!type) throw invalid(`its signature has an input of type ${field.type}`)
    columns.push({ name, type, isRequired: field.required })
  }
  if (tensors.length === 0) return { kind: 'columns', inputs: columns }
  if (columns.length === 0) return { kind: 'tensors', inputs: tensors }
  throw invalid('its signature mixes columns and tensors')
}

/** The types of the inputs that have names. */
export function namedTypes(
  signature: NumericSignature | undefined,
): Map<string | number, ItemType> {
  const named = new Map<string | number, ItemType>()
  for (const { name, type } of signature?.inputs ?? [])
    if (name !== undefined) named.set(name, type)
  return named
}
