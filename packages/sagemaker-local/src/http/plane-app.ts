import { randomUUID } from 'node:crypto'
import fastify, { type FastifyInstance } from 'fastify'
import { findKey } from '../auth/session-credentials.ts'
import { invokeEndpoint } from '../operations/invoke-endpoint.ts'
import { operations, restOperations } from '../operations/operations.ts'
import { serveAwsProxy } from '../proxy/aws-proxy.ts'
import type { Identity } from '../proxy/certificates.ts'
import { openLocalAuthority } from '../proxy/local-authority.ts'
import { mountRegistry } from '../registry/mount-registry.ts'
import { mountS3 } from '../s3/mount-s3.ts'
import { WatchedCalls } from '../ui-api/watched-calls.ts'
import { type CallerOptions, createCaller } from './caller.ts'
import { mountCbor } from './mount-cbor.ts'
import { awsErrorOf, mountJson } from './mount-json.ts'
import { mountPages } from './mount-pages.ts'
import { mountQuery } from './mount-query.ts'
import { mountRest } from './mount-rest.ts'
import { INNER_PATH, innerUrl } from './protocol.ts'
import { refuseForeignPages } from './refuse-foreign-pages.ts'

export interface PlaneAppOptions extends CallerOptions {
  /** Answers the pages of a tracking server, which shows this text. */
  pagesToken?: string | undefined
  /** Hosts besides AWS's to which the proxy leads. */
  proxyTunnels: string[]
}

/** Every protocol of the control plane on one port, which is an HTTPS proxy for the hosts of AWS too. */
export function createPlaneApp(options: PlaneAppOptions): FastifyInstance {
  const app = fastify({
    logger: { level: 'error', stream: process.stderr },
    genReqId: () => randomUUID(),
    rewriteUrl: innerUrl,
    requestTimeout: 0,
    forceCloseConnections: true,
  })
  app.addHook('onSend', async (request, reply) => {
    reply.header('x-amzn-requestid', request.id)
  })
  const caller = createCaller(options)
  let opened: Identity | undefined
  const authority = () => (opened ??= openLocalAuthority(options.settings.directory))
  const proxy = serveAwsProxy(app.server, { authority, tunnels: options.proxyTunnels })
  app.addHook('preClose', async () => proxy[Symbol.dispose]())
  const calls = new WatchedCalls()
  const watched = restOperations.map((operation) => calls.watch(operation))
  app.register(async (guarded) => {
    refuseForeignPages(guarded, options.settings)
    guarded.setErrorHandler((error, request, reply) => {
      const { code, message, status } = awsErrorOf(error, request.log)
      return reply.status(status).send({ code, message })
    })
    guarded.register(async (scope) => mountJson(scope, operations, caller))
    guarded.register(async (scope) => mountQuery(scope, operations, caller))
    guarded.register(async (scope) => mountCbor(scope, operations, caller))
    guarded.register(async (scope) => mountRest(scope, watched, caller))
    const { pagesToken: token } = options
    if (token !== undefined) {
      const pages = { token, context: options, calls, invoke: calls.watch(invokeEndpoint) }
      guarded.register(async (scope) => mountPages(scope, pages))
    }
    guarded.get('/.millrace/about', async () => about(options))
    guarded.get('/.millrace/authority.pem', async (_request, reply) =>
      reply.type('application/x-pem-file').send(authority().certificate),
    )
  })
  app.register(async (scope) => mountRegistry(scope, registryOptions(options)))
  app.register(async (scope) => mountS3(scope, s3Options(options)))
  return app
}

/** What `millrace env` has to know, and nothing that is secret. */
function about({ settings }: CallerOptions) {
  const { region, accountId, roleName, trackingUri, accessKeys } = settings
  return { region, accountId, roleName, trackingUri, needsKeys: accessKeys.length > 0 }
}

function registryOptions({ settings, images }: CallerOptions) {
  const tokenSecret = settings.accessKeys[0]?.secretAccessKey
  // A registry on one's own machine takes what is pushed, as MLflow and others expect.
  return { store: images, createsRepositories: true, ...(tokenSecret ? { tokenSecret } : {}) }
}

function s3Options({ settings, objects }: CallerOptions) {
  const { region, accountId, accessKeys } = settings
  return {
    store: objects,
    path: INNER_PATH.s3,
    region,
    accountId,
    ...(accessKeys.length > 0 ? { findKey: findKey(accessKeys) } : {}),
  }
}
