import { ApiError } from '@millrace/api/errors'
import fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { WorkerPool } from './worker-pool.ts'
import type { Answer } from './worker-process.ts'

export interface ScoringLimits {
  bodyBytesMax: number
  /** From the first byte of a request to the last: a client that trickles is cut off. */
  receiveTimeoutMs: number
}

// How often Node looks for clients that take too long.
const CHECK_INTERVAL_MS = 2_000

const METHODS: Record<string, string> = {
  '/ping': 'GET',
  '/health': 'GET',
  '/version': 'GET',
  '/invocations': 'POST',
}

/**
 * The HTTP side of a scoring server: routes, limits and refusals. What can be known only with the
 * model at hand, from the dialect of a body to its answer, is the workers' business; bodies pass
 * through unread. Routes and texts are those of MLflow 3.17 `scoring_server.init`.
 */
export function createScoringApp(pool: WorkerPool, limits: ScoringLimits): FastifyInstance {
  const app = fastify({
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.receiveTimeoutMs,
    http: {
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      // Node enforces the time for a request only where that for its headers is no longer.
      headersTimeout: limits.receiveTimeoutMs,
    },
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true },
    forceCloseConnections: 'idle',
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  for (const path of ['/ping', '/health']) {
    app.get(path, (_request, reply) => {
      if (!pool.versions) throw noWorker()
      return send(reply, { status: 200, contentType: JSON_TYPE, body: Buffer.from('\n') })
    })
  }
  app.get('/version', (_request, reply) => {
    const { versions } = pool
    if (!versions) throw noWorker()
    return send(reply, { status: 200, contentType: JSON_TYPE, body: Buffer.from(versions.mlflow) })
  })
  app.post('/invocations', {
    // Before the body is read: it would only fill memory.
    onRequest: async () => pool.refuseWhenFull(),
    handler: async (request, reply) => {
      const left = new AbortController()
      reply.raw.once('close', () => left.abort())
      // A request without a body has no parsed one.
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      const answer = await pool.invoke(request.headers['content-type'] ?? '', body, left.signal)
      return send(reply, answer === 'timed out' ? TIMED_OUT : answer)
    },
  })

  // A connection that stays open would keep a server that is being stopped for a minute.
  let isClosing = false
  app.addHook('preClose', async () => {
    isClosing = true
  })
  app.addHook('onSend', async (_request, reply) => {
    if (isClosing) reply.header('connection', 'close')
  })
  app.setNotFoundHandler((request, reply) => {
    const allowed = METHODS[request.url.replace(/\/?(\?.*)?$/, '')]
    if (!allowed) return sendJson(reply, 404, { detail: 'Not Found' })
    return sendJson(reply.header('allow', allowed), 405, { detail: 'Method Not Allowed' })
  })
  app.setErrorHandler((error, _request, reply) => sendError(reply, error))
  return app
}

const JSON_TYPE = 'application/json'
const TIMED_OUT: Answer = {
  status: 504,
  contentType: JSON_TYPE,
  body: Buffer.from('Request processing time exceeded limit'),
}

function noWorker(): ApiError {
  const message = 'No worker has loaded the model at the moment.'
  return new ApiError('TEMPORARILY_UNAVAILABLE', message, { retryAfterSeconds: 1 })
}

function sendError(reply: FastifyReply, error: unknown) {
  if (error instanceof ApiError) {
    if (error.retryAfterSeconds) reply.header('retry-after', String(error.retryAfterSeconds))
    return sendJson(reply, error.status, { error_code: error.code, message: error.message })
  }
  if (error instanceof Error && 'statusCode' in error && Number(error.statusCode) < 500) {
    const problem = { error_code: 'BAD_REQUEST', message: error.message }
    return sendJson(reply, Number(error.statusCode), problem)
  }
  const problem = { error_code: 'INTERNAL_ERROR', message: 'The request could not be answered.' }
  return sendJson(reply, 500, problem)
}

function sendJson(reply: FastifyReply, status: number, value: Record<string, unknown>) {
  return send(reply, { status, contentType: JSON_TYPE, body: Buffer.from(JSON.stringify(value)) })
}

// Bodies go out as bytes: to text Fastify would add a charset, which the stock server does not send.
function send(reply: FastifyReply, { status, contentType, body, notice }: Answer) {
  if (notice !== undefined) reply.header('warning', `299 - ${JSON.stringify(notice)}`)
  return reply.code(status).header('content-type', contentType).send(body)
}
