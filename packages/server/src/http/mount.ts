import { createHash } from 'node:crypto'
import type { Endpoint, Group } from '@millrace/api/endpoint'
import { ApiError, invariant } from '@millrace/api/errors'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { authorize } from '../auth/authorize.ts'
import type { Database } from '../db/database.ts'
import type { Db } from '../db/dialect.ts'
import { JsonText, type PreparedHandler, type RequestContext } from '../handlers.ts'
import { authenticate } from './authenticate.ts'
import {
  checkContentType,
  type Fields,
  fieldsOf,
  parseInput,
  readBody,
  readQuery,
} from './request-input.ts'
import type { ServerParts } from './server.ts'
import { type CreateRequest, UndeliveredAnswers } from './undelivered.ts'

type AnyHandler =
  | ((context: RequestContext, input: unknown) => Promise<unknown>)
  | PreparedHandler<unknown, Promise<unknown>>

/**
 * Mounts every endpoint of a group under all spellings of its URL. This is the only way in: one
 * chain reads the input, says who calls, asks `authorize`, runs the handler and sends the answer.
 */
export function mountGroup(
  app: FastifyInstance,
  parts: ServerParts,
  groupName: string,
  group: Group,
  handlers: Record<string, unknown>,
): void {
  for (const [name, endpoint] of Object.entries(group)) {
    const handler = handlers[name] as AnyHandler | undefined
    invariant(handler, `${groupName}.${name} has no handler`)
    const route = routeHandler(parts, `${groupName}.${name}`, endpoint, handler)
    const methods = typeof endpoint.method === 'string' ? [endpoint.method] : [...endpoint.method]
    for (const url of urls(endpoint, parts.settings.staticPrefix)) {
      app.route({ method: methods, url, handler: route })
    }
  }
}

/** Every URL that an endpoint answers at. */
export function urls(
  { path, version = '2.0', audience }: Pick<Endpoint, 'path' | 'version' | 'audience'>,
  staticPrefix: string,
): string[] {
  const roots = audience === 'ui' ? ['/ajax-api'] : ['/api', '/ajax-api']
  const prefixes = staticPrefix === '' ? [''] : ['', staticPrefix]
  const versions = version === '2.0' ? ['/2.0', '/2.0/preview'] : [`/${version}`]
  return prefixes.flatMap((prefix) =>
    roots.flatMap((root) => versions.map((spelling) => `${prefix}${root}${spelling}${path}`)),
  )
}

function routeHandler(parts: ServerParts, id: string, endpoint: Endpoint, handler: AnyHandler) {
  const fields = fieldsOf(endpoint.input)
  const prepare = typeof handler === 'function' ? undefined : handler.prepare
  const run = typeof handler === 'function' ? handler : handler.run
  const isWrite = endpoint.effect === 'write'
  const { makesNew } = endpoint
  const undelivered = new UndeliveredAnswers()

  return async (request: FastifyRequest, reply: FastifyReply) => {
    const input = parseInput(endpoint.input, readInput(request, endpoint, fields))
    const { database, settings } = parts
    const caller = await authenticate(request)
    await authorize(endpoint.access, { db: database.read, caller }, input)
    const prepared = prepare ? prepare(input) : input
    const read = (db: Db) => {
      const snapshot = snapshotOf(database, db)
      return run({ db, snapshot, caller, settings, fold: parts.fold }, prepared as never)
    }
    if (isWrite) {
      const write = () => database.write(id, caller, prepared)
      if (!makesNew) return sendJson(reply, await write())
      return sendJson(reply, await undelivered.answer(describeCreate(request, input), write))
    }
    const output = await (endpoint.mayLag ? readLagging(database, read) : read(database.read))
    return sendJson(reply, output)
  }
}

/** What reads everything as of one moment, from the database or from its replica. */
function snapshotOf(database: Database, db: Db): RequestContext['snapshot'] {
  if (db === database.read) return (run) => database.snapshot(run)
  return (run) => db.transaction().setIsolationLevel('repeatable read').execute(run)
}

/** From the replica; where that is down or behind in its schema, from the database itself. */
async function readLagging<Output>(
  { read, lagging }: Database,
  run: (db: Db) => Promise<Output>,
): Promise<Output> {
  if (lagging === read) return run(read)
  try {
    return await run(lagging)
  } catch (error) {
    if (error instanceof ApiError && error.code !== 'TEMPORARILY_UNAVAILABLE') throw error
    return run(read)
  }
}

/** Clocks that differ by more than this are wrong, and a time that is older was put in by hand. */
const STAMP_AGE_MAX_MS = 10 * 60_000

/**
 * Only of clients that are known to send a request again by themselves: a script of HTTP calls may
 * create ten runs with one time on purpose, and closes its connection after each.
 */
function describeCreate(request: FastifyRequest, input: unknown): CreateRequest {
  const { headers, raw } = request
  const { start_time } = input as { start_time?: unknown }
  const isRecent = Math.abs(Date.now() - Number(start_time)) < STAMP_AGE_MAX_MS
  // A connection for one request alone says nothing by its end.
  const staysOpen = raw.httpVersion === '1.1' && headers.connection?.toLowerCase() !== 'close'
  const isOfMlflow = headers['user-agent']?.startsWith('mlflow-python-client/') === true
  const isStamped = isOfMlflow && isRecent && staysOpen
  const isKeyed = headers['idempotency-key'] !== undefined
  return { key: () => hashOf(request), socket: raw.socket, isStamped, isKeyed }
}

function hashOf({ method, url, body, headers }: FastifyRequest): string {
  const hash = createHash('sha256').update(`${method} ${url} ${headers.authorization ?? ''}\n`)
  hash.update(`${String(headers['idempotency-key'] ?? '')}\n`)
  return hash.update(body instanceof Buffer ? body : '').digest('base64')
}

function readInput(
  request: FastifyRequest,
  endpoint: Endpoint,
  fields: Fields,
): Record<string, unknown> {
  const query = request.query as Record<string, string | string[]>
  const body = request.body as Buffer | undefined
  const hasQuery = Object.keys(query).length > 0
  let input: Record<string, unknown>
  const isQuery = request.method === 'GET' || request.method === 'HEAD'
  if (isQuery && (hasQuery || body === undefined)) {
    input = readQuery(query, fields)
  } else {
    checkContentType(request.method, request.headers['content-type'])
    input = readBody(body, fields)
  }
  const params = pathParams(request)
  // Uploads in parts have a path in the URL and another one in the body.
  if ('path' in params && typeof input['path'] === 'string') input['body_path'] = input['path']
  return Object.assign(input, params)
}

/** Path parameters join the input; the remainder after `*` is called `path`. */
export function pathParams(request: FastifyRequest): Record<string, string> {
  const params = request.params as Record<string, string>
  if (!('*' in params)) return params
  const { '*': path, ...others } = params
  return { ...others, path: path ?? '' }
}

/** Sends JSON; integers beyond 2^53 keep every digit. */
export function sendJson(reply: FastifyReply, output: unknown): FastifyReply {
  reply.header('content-type', 'application/json')
  return reply.send(output instanceof JsonText ? output.text : stringify(output))
}

function stringify(output: unknown): string {
  try {
    return JSON.stringify(output)
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    return JSON.stringify(output, (_, value) =>
      typeof value === 'bigint' ? rawJson(value.toString()) : value,
    )
  }
}

/** `JSON.rawJSON` is in Node since 21, and not yet in TypeScript's library. */
const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown }
