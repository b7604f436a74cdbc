import { invalid } from '@millrace/api/errors'
import { z } from 'zod'

/** MLflow's `DataType`, by the names that are written to signatures. */
export const DATA_TYPES = [
  'boolean',
  'integer',
  'long',
  'float',
  'double',
  'string',
  'binary',
  'datetime',
  'any',
  'sparkml vector',
] as const

/** The type of a column, of the items of an array, or of a property of an object. */
export type ColumnType =
  | { type: (typeof DATA_TYPES)[number] }
  | { type: 'array'; items: ColumnType }
  | { type: 'map'; values: ColumnType }
  | { type: 'object'; properties: Record<string, ColumnType & { required: boolean }> }

const Named = { name: z.string().optional(), required: z.boolean().default(true) }

const ColumnType: z.ZodType<ColumnType> = z.lazy(() =>
  z.discriminatedUnion('type', [
    z.object({ type: z.enum(DATA_TYPES) }),
    z.object({ type: z.literal('array'), items: ColumnType }),
    z.object({ type: z.literal('map'), values: ColumnType }),
    z.object({
      type: z.literal('object'),
      properties: z.record(
        z.string(),
        z.intersection(ColumnType, z.object({ required: z.boolean().default(true) })),
      ),
    }),
  ]),
)

const Tensor = z.object({
  type: z.literal('tensor'),
  'tensor-spec': z.object({ dtype: z.string(), shape: z.array(z.int()) }),
  name: z.string().optional(),
})

const Column = z.intersection(ColumnType, z.object(Named))

/** A column or a tensor of what a model takes or gives; `name` is absent when there is one alone. */
export const Field = z.union([Tensor, Column])
export type Field = z.output<typeof Field>

/** A parameter of inference; `shape` is null for one value and `[-1]` for a list of them. */
export const Param = z.object({
  name: z.string(),
  type: z.string(),
  default: z.unknown(),
  shape: z.array(z.int()).nullish(),
})
export type Param = z.output<typeof Param>

export interface Signature {
  inputs?: Field[]
  outputs?: Field[]
  params?: Param[]
}

/**
 * Reads the `signature` of an MLmodel file: three JSON texts, each of which may be null
 * (MLflow 3.17 `ModelSignature.from_dict`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming the part that cannot be read
 */
export function parseSignature(texts: Record<'inputs' | 'outputs' | 'params', string | null>) {
  const signature: Signature = {}
  const inputs = parsePart('inputs', z.array(Field), texts.inputs)
  const outputs = parsePart('outputs', z.array(Field), texts.outputs)
  const params = parsePart('params', z.array(Param), texts.params)
  if (inputs) signature.inputs = inputs
  if (outputs) signature.outputs = outputs
  if (params) signature.params = params
  return signature
}

function parsePart<T>(name: string, schema: z.ZodType<T>, text: string | null): T | undefined {
  if (text === null) return undefined
  const parsed = schema.safeParse(parseJson(text))
  if (parsed.success) return parsed.data
  throw invalid(`The ${name} of the model's signature cannot be read: ${text.slice(0, 500)}`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
