import { ApiError, invalid } from '@millrace/api/errors'
import type { InferenceSession, Tensor, TensorConstructor } from 'onnxruntime-web'
import { enforceSignature, valuesOf } from './enforce-signature.ts'
import { type Item, isNumericType, type NumberArray, type NumericType } from './number-array.ts'
import type { NumericSignature } from './numeric-signature.ts'
import { type Json, writePythonJson } from './python-json.ts'
import type { ScoringInput } from './scoring-body.ts'

/** A model in the ONNX format, loaded. */
export interface OnnxModel {
  /** Its inputs in the order of the graph. */
  inputs: { name: string; type: NumericType }[]
  outputNames: string[]
  signature: NumericSignature | undefined
  /** Of the runtime. */
  version: string
  session: InferenceSession
  Tensor: TensorConstructor
}

/**
 * Loads a graph, and its weights where they are in files of their own.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when it has inputs or outputs that are no tensors of
 * numbers, Error when it holds what the runtime does not know
 */
export async function loadOnnxModel(
  graph: Uint8Array,
  externalData: { path: string; data: Uint8Array }[],
  signature: NumericSignature | undefined,
): Promise<OnnxModel> {
  const runtime = await import('onnxruntime-web')
  // A worker is one process that does one thing at a time; several use several processors.
  runtime.env.wasm.numThreads = 1
  runtime.env.logLevel = 'error'
  const session = await runtime.InferenceSession.create(graph, {
    executionProviders: ['wasm'],
    externalData,
  })
  const inputs = session.inputMetadata.map(({ name, ...input }) => {
    const type = input.isTensor ? input.type : 'no tensor'
    if (!isNumericType(type)) throw invalid(`its input ${name} is ${type}`)
    return { name, type }
  })
  for (const { name, ...output } of session.outputMetadata) {
    const type = output.isTensor ? output.type : 'no tensor'
    if (!isNumericType(type) && type !== 'string') throw invalid(`its output ${name} is ${type}`)
  }
  const outputNames = [...session.outputNames]
  const version = runtime.env.versions.common
  return { inputs, outputNames, signature, version, session, Tensor: runtime.Tensor }
}

/**
 * The answer to an input as JSON text: a row per value for a table, else an array per output (MLflow
 * 3.17 `_OnnxModelWrapper.predict` and `predictions_to_json`).
 *
 * @throws ApiError when the input is not what the model takes
 */
export async function predictOnnx(model: OnnxModel, given: ScoringInput): Promise<string> {
  const input = model.signature ? enforceSignature(given, model.signature) : given
  try {
    const feeds = feedsOf(model, input)
    const outputs = await model.session.run(tensorsOf(model, feeds))
    const arrays = model.outputNames.map((name) => [name, outputArray(outputs[name])] as const)
    return input.kind === 'table' ? recordsText(arrays) : arraysText(arrays)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ApiError(
      'BAD_REQUEST',
      'Encountered an unexpected error while evaluating the model. Verify that the serialized ' +
        `input Dataframe is compatible with the model for inference. Error: ${reason}`,
    )
  }
}

function feedsOf({ inputs }: OnnxModel, input: ScoringInput): Map<string, NumberArray> {
  const [first, ...others] = inputs
  if (input.kind === 'arrays') return input.arrays
  if (!first) throw new Error('The model has no inputs.')
  if (input.kind === 'array') {
    if (others.length === 0) return new Map([[first.name, input.array]])
    throw new Error(`The model has ${inputs.length} inputs, and one array is given.`)
  }
  if (others.length === 0) return new Map([[first.name, valuesOf(input.table)]])
  const feeds = inputs.map(({ name }) => {
    const column = input.table.columns.find((one) => one.name === name)
    if (!column) throw new Error(`There is no column ${name}.`)
    const { type, items } = column
    return [name, { type, shape: [items.length], items }] satisfies [string, NumberArray]
  })
  return new Map(feeds)
}

function tensorsOf({ inputs, Tensor }: OnnxModel, feeds: Map<string, NumberArray>) {
  const tensors: Record<string, Tensor> = {}
  for (const [name, { type, shape, items }] of feeds) {
    const wanted = inputs.find((input) => input.name === name)
    if (!wanted) throw new Error(`Invalid input name: ${name}`)
    // MLflow narrows floats, which JSON has in one width only, and nothing else.
    const isNarrowed = type === 'float64' && wanted.type === 'float32'
    if (type !== wanted.type && !isNarrowed) {
      throw new Error(`Input ${name} is ${type}, and ${wanted.type} is expected.`)
    }
    tensors[name] = tensorOf(Tensor, wanted.type, items, shape)
  }
  return tensors
}

function tensorOf(
  of: TensorConstructor,
  type: NumericType,
  items: Item[],
  shape: number[],
): Tensor {
  if (type === 'int64') return new of(type, BigInt64Array.from(items as bigint[]), shape)
  if (type === 'uint64') return new of(type, BigUint64Array.from(items as bigint[]), shape)
  const numbers = items.map(Number)
  switch (type) {
    case 'float32':
      return new of(type, Float32Array.from(numbers), shape)
    case 'float64':
      return new of(type, Float64Array.from(numbers), shape)
    case 'int32':
      return new of(type, Int32Array.from(numbers), shape)
    case 'uint32':
      return new of(type, Uint32Array.from(numbers), shape)
    case 'int16':
      return new of(type, Int16Array.from(numbers), shape)
    case 'uint16':
      return new of(type, Uint16Array.from(numbers), shape)
    case 'int8':
      return new of(type, Int8Array.from(numbers), shape)
    case 'uint8':
      return new of(type, Uint8Array.from(numbers), shape)
    case 'bool':
      return new of(type, Uint8Array.from(numbers), shape)
  }
}

/** What the runtime gave, with whole numbers and truth values as such. */
function outputArray(tensor: Tensor | undefined): { shape: readonly number[]; items: Json[] } {
  if (!tensor) throw new Error('The model gave no output.')
  const { type, dims, data } = tensor
  const values: Iterable<unknown> = data as Iterable<unknown>
  const items = Array.from(values, (value): Json => {
    if (type === 'bool') return value === 1
    if (typeof value === 'string' || typeof value === 'bigint') return value
    return type.startsWith('float') ? Number(value) : BigInt(Number(value))
  })
  return { shape: dims, items }
}

type Output = readonly [name: string, array: { shape: readonly number[]; items: Json[] }]

function recordsText(outputs: Output[]): string {
  const rowCount = outputs[0]?.[1].items.length ?? 0
  if (outputs.some(([, { items }]) => items.length !== rowCount)) {
    throw new Error('All arrays must be of the same length')
  }
  const rows = Array.from({ length: rowCount }, (_, row) => {
    return new Map(outputs.map(([name, { items }]) => [name, items[row] ?? null]))
  })
  return writePythonJson(new Map([['predictions', rows]]))
}

function arraysText(outputs: Output[]): string {
  const nested = outputs.map(([name, { shape, items }]) => [name, nest(items, shape)] as const)
  return writePythonJson(new Map([['predictions', new Map(nested)]]))
}

/** Items in row-major order as lists in lists: NumPy's `tolist`. */
function nest(items: Json[], [length, ...inner]: readonly number[]): Json {
  if (length === undefined) return items[0] ?? null
  if (inner.length === 0) return items
  const width = items.length / (length || 1)
  return Array.from({ length }, (_, row) =>
    nest(items.slice(row * width, (row + 1) * width), inner),
  )
}
