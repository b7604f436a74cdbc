import { randomUUID } from 'node:crypto'
import fastify, { type FastifyInstance } from 'fastify'
import { invokeEndpoint } from '../operations/invoke-endpoint.ts'
import { operations, restOperations } from '../operations/operations.ts'
import { mountRegistry } from '../registry/mount-registry.ts'
import { mountS3 } from '../s3/mount-s3.ts'
import { mountPages } from '../ui-api/mount-pages.ts'
import { WatchedCalls } from '../ui-api/watched-calls.ts'
import { type CallerOptions, createCaller, findKey } from './caller.ts'
import { mountJson } from './mount-json.ts'
import { mountQuery } from './mount-query.ts'
import { mountRest } from './mount-rest.ts'
import { innerUrl } from './protocol.ts'

/** Every protocol of the control plane on one port. */
export function createPlaneApp(
  options: CallerOptions & { pagesToken?: string | undefined },
): FastifyInstance {
  const app = fastify({
    logger: { level: 'error', stream: process.stderr },
    genReqId: () => randomUUID(),
    // S3's keys are as long as a kilobyte and may hold anything, escaped.
    routerOptions: { maxParamLength: 4096 },
    rewriteUrl: innerUrl,
    requestTimeout: 0,
    forceCloseConnections: true,
  })
  app.addHook('onSend', async (request, reply) => {
    reply.header('x-amzn-requestid', request.id)
  })
  const caller = createCaller(options)
  app.register(async (scope) => mountJson(scope, operations, caller))
  app.register(async (scope) => mountQuery(scope, operations, caller))
  const calls = new WatchedCalls()
  const watched = restOperations.map((operation) => calls.watch(operation))
  app.register(async (scope) => mountRest(scope, watched, caller))
  app.register(async (scope) => mountRegistry(scope, registryOptions(options)))
  app.register(async (scope) => mountS3(scope, { store: options.objects, ...s3Options(options) }))
  const { pagesToken: token } = options
  if (token !== undefined) {
    const pages = { token, context: options, calls, invoke: calls.watch(invokeEndpoint) }
    app.register(async (scope) => mountPages(scope, pages))
  }
  app.get('/.millrace/about', async () => about(options))
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

function s3Options({ settings }: CallerOptions) {
  const { region, accountId, accessKeys } = settings
  return { region, accountId, ...(accessKeys.length > 0 ? { findKey: findKey(accessKeys) } : {}) }
}
