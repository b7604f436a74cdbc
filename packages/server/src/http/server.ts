import type { Readable } from 'node:stream'
import fastify, { type FastifyInstance } from 'fastify'
import type { Settings } from '../config.ts'
import type { Database } from '../db/database.ts'
import type { RequestContext } from '../handlers.ts'
import { limitBodyTime } from './body-deadline.ts'
import { sendError } from './error-response.ts'
import { type GuardOptions, guard } from './guards.ts'
import { closeSilentConnections } from './silent-connections.ts'
import { refuseBadUrl, refuseUnreadable } from './unreadable-requests.ts'

/** What routes work with; made once by `app.ts`. */
export interface ServerParts {
  database: Database
  settings: Settings
  fold: RequestContext['fold']
}

/** Largest JSON body: a dataset's profile alone may have 16 MiB. */
const BODY_MAX_BYTES = 32 * 1024 * 1024
/** Longer than the idle time-outs of common load balancers, which would else reuse a dead socket. */
const KEEP_ALIVE_MS = 75_000
/** Time for a client to send its headers. */
const HEADERS_TIMEOUT_MS = 60_000
/** Time for a body that is read into memory: the largest one at 2 Mbit/s. */
const BODY_TIMEOUT_MS = 120_000

/** The HTTP server without routes: limits, guards and error answers. */
export function createHttpServer(guardOptions: GuardOptions): FastifyInstance {
  const app = fastify({
    logger: { level: 'error', base: null },
    bodyLimit: BODY_MAX_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: 0,
    routerOptions: { maxParamLength: 5000, ignoreDuplicateSlashes: false },
    exposeHeadRoutes: true,
    schemaController: {
      compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas },
    },
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    // A tracking URI that ends in a slash gives clients URLs that begin with two.
    rewriteUrl: ({ url = '/' }) => url.replace(/^\/{2,}/, '/'),
    frameworkErrors: refuseBadUrl,
    clientErrorHandler: refuseUnreadable,
  })
  app.server.headersTimeout = HEADERS_TIMEOUT_MS
  closeSilentConnections(app)
  app.addHook('onRequest', guard(guardOptions))
  app.setErrorHandler(sendError)
  return app
}

/** Fastify would load compilers of JSON schemas, which `mount.ts` has no use for, at every start. */
function noSchemas(): never {
  throw new Error('A route declares a JSON schema; inputs are read by those of the contract.')
}

/** A scope whose routes get their body as bytes in memory. */
export function withBufferedBodies(
  app: FastifyInstance,
  mountAll: (scope: FastifyInstance) => void,
) {
  return app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => {
      done(null, body)
    })
    limitBodyTime(scope, BODY_TIMEOUT_MS)
    mountAll(scope)
  })
}

/** A scope whose routes get their body as the stream it is, of any size. */
export function withStreamedBodies(
  app: FastifyInstance,
  mountAll: (scope: FastifyInstance) => void,
) {
  return app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, body: Readable, done) => done(null, body))
    mountAll(scope)
  })
}
