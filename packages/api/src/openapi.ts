import { z } from 'zod'
import { api, streams } from './api.ts'
import type { Access, Endpoint, Group, StreamGroup } from './endpoint.ts'
import { ERROR_STATUS } from './errors.ts'

type Json = Record<string, unknown>

/** The contract as an OpenAPI 3.1 document. Requests and answers use the same schemas. */
export function openapi(): Json {
  const paths: Record<string, Json> = {}
  for (const [groupName, group] of Object.entries<Group>(api)) {
    for (const [name, endpoint] of Object.entries(group)) {
      const { method, version = '2.0', path, audience } = endpoint
      const url = toTemplate(`/${audience === 'ui' ? 'ajax-api' : 'api'}/${version}${path}`)
      const methods = typeof method === 'string' ? [method] : method
      for (const [i, verb] of methods.entries()) {
        const id = `${groupName}.${name}${i === 0 ? '' : `.${verb.toLowerCase()}`}`
        ;(paths[url] ??= {})[verb.toLowerCase()] = operation(id, groupName, verb, endpoint)
      }
    }
  }
  for (const [groupName, group] of Object.entries<StreamGroup>(streams)) {
    for (const [name, { method, mount, version = '2.0', path, ...endpoint }] of Object.entries(
      group,
    )) {
      const url = toTemplate(mount === 'root' ? path : `/${mount}/${version}${path}`)
      ;(paths[url] ??= {})[method.toLowerCase()] = {
        operationId: `${groupName}.${name}`,
        tags: [groupName],
        summary: endpoint.summary,
        'x-access': describeAccess(endpoint.access),
        parameters: parameters(endpoint.input, path),
        ...(endpoint.direction === 'upload' && { requestBody: { content: BYTES } }),
        responses: {
          200: {
            description: 'Done.',
            ...(endpoint.direction === 'download' && { content: BYTES }),
          },
          default: ERROR_RESPONSE,
        },
      }
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Millrace',
      version: '0.1.0',
      description:
        "MLflow's REST API. Every path below /api is also served below /ajax-api, and version 2.0 also as 2.0/preview.",
    },
    paths,
    components: { schemas: { Error: ERROR_SCHEMA } },
  }
}

const BYTES = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } }

const ERROR_SCHEMA = {
  type: 'object',
  required: ['error_code', 'message'],
  properties: {
    error_code: { type: 'string', enum: Object.keys(ERROR_STATUS) },
    message: { type: 'string' },
    sqlstate: { type: 'string' },
    error_class: { type: 'string' },
  },
}

const ERROR_RESPONSE = {
  description: 'What was refused, and why.',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
}

function operation(operationId: string, tag: string, verb: string, endpoint: Endpoint): Json {
  const hasBody = verb !== 'GET'
  return {
    operationId,
    tags: [tag],
    summary: endpoint.summary,
    'x-access': describeAccess(endpoint.access),
    parameters: parameters(endpoint.input, endpoint.path, hasBody),
    ...(hasBody && {
      requestBody: { content: { 'application/json': { schema: toSchema(endpoint.input) } } },
    }),
    responses: {
      200: {
        description: 'Done.',
        content: { 'application/json': { schema: toSchema(endpoint.output) } },
      },
      default: ERROR_RESPONSE,
    },
  }
}

function describeAccess(access: Access): string {
  if (typeof access === 'string') return access
  if ('create' in access) return `create ${access.create}`
  return `${access.permission} on the ${access.on} in '${access.field}'`
}

/** Path parameters, and for requests without a body the query string. */
function parameters(input: z.ZodType, path: string, hasBody = false): Json[] {
  const { properties = {}, required = [] } = toSchema(input) as {
    properties?: Record<string, Json>
    required?: string[]
  }
  const inPath = new Set(path.match(/(?<=:)\w+/g) ?? [])
  if (path.endsWith('*')) inPath.add('path')
  return Object.entries(properties)
    .filter(([name]) => inPath.has(name) || !hasBody)
    .map(([name, schema]) => ({
      name,
      in: inPath.has(name) ? 'path' : 'query',
      required: inPath.has(name) || required.includes(name),
      schema,
    }))
}

function toTemplate(path: string): string {
  return path.replace(/:(\w+)/g, '{$1}').replace(/\*$/, '{path}')
}

function toSchema(schema: z.ZodType): Json {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { unrepresentable: 'any', io: 'output' })
  return json
}
