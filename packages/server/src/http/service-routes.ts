import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ServerConfig } from '../config.ts'
import { MLFLOW_VERSION } from '../service.ts'
import { sendErrorBody } from './error-response.ts'
import type { Readiness } from './readiness.ts'
import type { ServerParts } from './server.ts'

/** Routes that are not part of the JSON API: liveness, readiness, version, metrics and the pages. */
export async function mountService(
  app: FastifyInstance,
  parts: ServerParts,
  config: ServerConfig,
  readiness: Readiness,
): Promise<void> {
  const { staticPrefix } = config.settings
  const prefixes = staticPrefix === '' ? [''] : ['', staticPrefix]
  readiness.mount(app, prefixes)
  for (const prefix of prefixes) {
    app.get(`${prefix}/health`, async (_request, reply) => text(reply, 'OK'))
    app.get(`${prefix}/version`, async (_request, reply) => text(reply, MLFLOW_VERSION))
  }
  if (config.exposesPrometheus) {
    const { observeRequests } = await import('./prometheus.ts')
    observeRequests(app, parts)
  }
  if (config.uiDirectory !== undefined) await mountPages(app, config.uiDirectory, config)
  app.setNotFoundHandler(notFound)
}

function text(reply: FastifyReply, body: string) {
  return reply.header('content-type', 'text/plain; charset=utf-8').send(body)
}

/** Clients take a 404 without JSON for "this server has no such endpoint" and fall back. */
function notFound(request: FastifyRequest, reply: FastifyReply) {
  if (request.method === 'OPTIONS') {
    return sendErrorBody(reply, 405, 'BAD_REQUEST', 'No such method')
  }
  return reply
    .code(404)
    .header('content-type', 'text/html; charset=utf-8')
    .header('content-security-policy', PAGE_POLICY)
    .send(
      '<!doctype html><title>404 Not Found</title><h1>Not Found</h1><p>No such page or endpoint.',
    )
}

const PAGE_POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'self'"

const ASSET_MAX_AGE_S = 31_536_000

/** The built pages: hashed assets may be kept for ever, `index.html` answers every other page. */
async function mountPages(
  app: FastifyInstance,
  directory: string,
  { settings: { staticPrefix: prefix }, sageMaker }: ServerConfig,
): Promise<void> {
  const index = (await readFile(join(directory, 'index.html'), 'utf8'))
    .replaceAll('__MILLRACE_BASE__', prefix)
    .replaceAll('__MILLRACE_SAGEMAKER__', sageMaker ? 'on' : '')
  await app.register(fastifyStatic, {
    root: join(directory, 'assets'),
    prefix: `${prefix}/assets/`,
    wildcard: true,
    index: false,
    immutable: true,
    maxAge: ASSET_MAX_AGE_S * 1000,
  })
  const sendIndex = async (_request: FastifyRequest, reply: FastifyReply) =>
    reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', PAGE_POLICY)
      .header('cache-control', 'no-cache')
      .send(index)
  app.get(prefix === '' ? '/' : prefix, sendIndex)
  if (prefix !== '') app.get(`${prefix}/`, sendIndex)
  app.get(`${prefix}/*`, async (request, reply) =>
    isPage(request, prefix) ? sendIndex(request, reply) : reply.callNotFound(),
  )
}

const NOT_PAGES = [
  '/api',
  '/ajax-api',
  '/assets',
  '/get-artifact',
  '/model-versions',
  '/graphql',
  '/v1',
  '/static-files',
]

/** Whether a browser asks for one of the UI's own URLs, rather than a client for an endpoint. */
function isPage(request: FastifyRequest, prefix: string): boolean {
  const path = request.url.slice(prefix.length).split('?')[0] ?? ''
  const isReserved = NOT_PAGES.some((root) => path === root || path.startsWith(`${root}/`))
  return !isReserved && (request.headers.accept ?? '').includes('text/html')
}
