import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The part of OpenAPI 3 that the recorded schema has. */
interface Schema {
  $ref?: string
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  additionalProperties?: Schema
  oneOf?: Schema[]
}

// Recorded from the sources of Kubernetes, whose servers check requests by it.
const { schemas } = JSON.parse(
  readFileSync(join(import.meta.dirname, 'kubernetes-job-schema.json'), 'utf8'),
) as { schemas: Record<string, Schema> }

/** What the API's own schema has against an object, as a path with a reason; undefined if nothing. */
export function schemaProblem(
  value: unknown,
  schema: Schema = { $ref: 'Job' },
  path = 'job',
): string | undefined {
  if (schema.$ref !== undefined) return schemaProblem(value, schemas[schema.$ref], path)
  if (schema.oneOf) {
    const fits = schema.oneOf.some((one) => schemaProblem(value, one, path) === undefined)
    return fits
      ? undefined
      : `${path} is none of ${schema.oneOf.map(({ type }) => type).join(', ')}`
  }
  if (schema.type !== undefined && !isOfType(value, schema.type)) {
    return `${path} is no ${schema.type}`
  }
  if (Array.isArray(value)) {
    return first(value.map((item, at) => schemaProblem(item, schema.items, `${path}[${at}]`)))
  }
  if (typeof value !== 'object' || value === null) return undefined
  const missing = schema.required?.find((name) => !(name in value))
  if (missing !== undefined) return `${path} lacks ${missing}`
  return first(
    Object.entries(value).map(([name, one]) => {
      const known = schema.properties?.[name] ?? schema.additionalProperties
      if (known) return schemaProblem(one, known, `${path}.${name}`)
      return schema.properties ? `unknown field ${path}.${name}` : undefined
    }),
  )
}

function first(problems: (string | undefined)[]): string | undefined {
  return problems.find((problem) => problem !== undefined)
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return typeof value === type
}
