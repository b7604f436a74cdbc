import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyInstance } from 'fastify'
import { foreignPage } from '../auth/browser-guard.ts'
import type { ImageStore } from './image-store.ts'
import { RegistryError } from './registry-error.ts'
import { findRegistryOperation } from './registry-operations.ts'
import type { RegistryAnswer, RegistryRequest } from './registry-request.ts'
import { isRegistryAuthorization } from './registry-token.ts'

export interface RegistryOptions {
  store: ImageStore
  /** With it, requests need a token of `createRegistryToken`; without, anybody may push and pull. */
  tokenSecret?: string
  /** Names of this machine besides the usual ones, under which it answers without a login. */
  hosts?: string[]
  /** Whether a push makes its repository. ECR does not, and so it is off unless given. */
  createsRepositories?: boolean
}

/** Serves the Docker Registry HTTP API v2 (OCI distribution) below `/v2` of a scope of its own. */
export function mountRegistry(scope: FastifyInstance, options: RegistryOptions): void {
  scope.addHook('onRequest', async (request, reply) => {
    reply.hijack()
    await answerRegistry(
      request.raw,
      reply.raw,
      { ...options, url: request.originalUrl },
      (error) => request.log.error({ err: error }, 'A request to the registry failed'),
    )
  })
  const method = ['GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE'] as const
  for (const url of ['/v2', '/v2/*']) {
    scope.route({ method: [...method], url, exposeHeadRoute: false, handler: () => undefined })
  }
}

/** Answers one request to the registry, whose address as the client sent it is `url`. */
async function answerRegistry(
  raw: IncomingMessage,
  response: ServerResponse,
  options: RegistryOptions & { url: string },
  onFailure: (error: unknown) => void,
): Promise<void> {
  try {
    const { tokenSecret, createsRepositories = false, store } = options
    authorize(raw, tokenSecret, options.hosts)
    const [path = '', query] = options.url.split('?', 2)
    const request: RegistryRequest = {
      method: raw.method ?? 'GET',
      path: decode(path).replace(/^\/v2/, ''),
      query: new URLSearchParams(query),
      headers: raw.headers,
      body: raw.iterator({ destroyOnReturn: false }),
      createsRepositories,
    }
    await send(raw, response, await findRegistryOperation(request)(store, request))
  } catch (error) {
    if (response.headersSent || response.destroyed) {
      response.destroy()
      return
    }
    if (!(error instanceof RegistryError)) onFailure(error)
    await send(raw, response, refusal(error))
  }
}

function authorize(raw: IncomingMessage, secret: string | undefined, hosts?: string[]): void {
  if (secret === undefined) {
    const foreign = foreignPage(raw.headers, hosts)
    if (foreign === undefined) return
    throw new RegistryError('DENIED', foreign)
  }
  if (isRegistryAuthorization(raw.headers.authorization, secret)) return
  throw new RegistryError(
    'UNAUTHORIZED',
    'The registry needs a login; ask ECR GetAuthorizationToken for a password of the user AWS.',
    { 'www-authenticate': 'Basic realm="millrace",service="ecr.amazonaws.com"' },
  )
}

function refusal(error: unknown): RegistryAnswer {
  const known =
    error instanceof RegistryError
      ? error
      : new RegistryError('UNKNOWN', 'The registry failed; its log says why.')
  const { code, message, status, headers } = known
  const body = JSON.stringify({ errors: [{ code, message, detail: null }] })
  return { status, headers: { ...headers, 'content-type': 'application/json' }, body }
}

async function send(
  raw: IncomingMessage,
  response: ServerResponse,
  { status = 200, headers = {}, body = '' }: RegistryAnswer,
): Promise<void> {
  const isWhole = !(body instanceof Readable)
  response.setHeader('docker-distribution-api-version', 'registry/2.0')
  if (isWhole) response.setHeader('content-length', Buffer.byteLength(body))
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  const isUnread = !raw.complete && Number(raw.headers['content-length'] ?? 1) > 0
  if (isUnread && raw.method !== 'GET' && raw.method !== 'HEAD') {
    response.setHeader('connection', 'close')
  }
  response.writeHead(status)
  if (raw.method === 'HEAD' && !isWhole) body.destroy()
  if (raw.method === 'HEAD' || isWhole) {
    response.end(raw.method === 'HEAD' ? undefined : body)
    raw.resume()
    return
  }
  await pipeline(body, response)
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw new RegistryError('NAME_INVALID', `The path '${path}' is not UTF-8.`)
  }
}
