import { parse } from 'yaml'

/** What a model says about itself in its MLmodel file. */
export interface ModelDescription {
  flavors: string[]
  inputs: SignatureField[]
  outputs: SignatureField[]
  params: SignatureField[]
}

export interface SignatureField {
  name: string
  type: string
}

/** Reads an MLmodel file; what is missing or malformed is left out. */
export function readModelDescription(text: string): ModelDescription {
  const model = asRecord(parse(text, { maxAliasCount: 100, logLevel: 'silent' }))
  const signature = asRecord(model['signature'])
  return {
    flavors: Object.keys(asRecord(model['flavors'])).filter((name) => name !== 'python_function'),
    inputs: fieldsOf(signature['inputs']),
    outputs: fieldsOf(signature['outputs']),
    params: fieldsOf(signature['params']),
  }
}

/** Signatures are JSON texts inside of YAML. */
function fieldsOf(text: unknown): SignatureField[] {
  if (typeof text !== 'string') return []
  try {
    const fields: unknown = JSON.parse(text)
    return Array.isArray(fields) ? fields.map(asRecord).map(fieldOf) : []
  } catch {
    return []
  }
}

function fieldOf(field: Record<string, unknown>, index: number): SignatureField {
  const name = typeof field['name'] === 'string' ? field['name'] : `#${index + 1}`
  const isOptional = field['required'] === false
  return { name, type: `${typeOf(field)}${isOptional ? ', optional' : ''}` }
}

function typeOf(field: Record<string, unknown>): string {
  const tensor = asRecord(field['tensor-spec'])
  if ('dtype' in tensor) return `${String(tensor['dtype'])} ${JSON.stringify(tensor['shape'])}`
  const preset = 'default' in field ? ` = ${JSON.stringify(field['default'])}` : ''
  return `${String(field['type'] ?? '')}${preset}`
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
