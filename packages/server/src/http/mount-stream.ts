import { Readable } from 'node:stream'
import type { StreamEndpoint, StreamGroup } from '@millrace/api/endpoint'
import { invariant } from '@millrace/api/errors'
import { parseRangeHeader } from '@millrace/artifacts/byte-range'
import { contentDisposition } from '@millrace/artifacts/content-type'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { authorize } from '../auth/authorize.ts'
import type { Download, StreamContext, StreamRequest } from '../handlers.ts'
import { authenticate } from './authenticate.ts'
import { pathParams, sendJson } from './mount.ts'
import { fieldsOf, parseInput, readQuery } from './request-input.ts'
import type { ServerParts } from './server.ts'

type AnyStreamHandler = (
  context: StreamContext,
  input: unknown,
  request: StreamRequest,
) => Promise<Download | Record<string, never> | undefined>

/** Mounts the endpoints of a group that carry bytes; the chain is that of `mountGroup`. */
export function mountStreams(
  app: FastifyInstance,
  parts: ServerParts,
  group: StreamGroup,
  handlers: Record<string, unknown>,
): void {
  for (const [name, endpoint] of Object.entries(group)) {
    const handler = handlers[name] as AnyStreamHandler | undefined
    invariant(handler, `${name} has no handler`)
    for (const url of streamUrls(endpoint, parts.settings.staticPrefix)) {
      app.route({ method: endpoint.method, url, handler: streamHandler(parts, endpoint, handler) })
    }
  }
}

function streamUrls({ mount, path, version = '2.0' }: StreamEndpoint, staticPrefix: string) {
  const prefixes = staticPrefix === '' ? [''] : ['', staticPrefix]
  const versions = version === '2.0' ? ['/2.0', '/2.0/preview'] : [`/${version}`]
  const roots = { root: [''], 'ajax-api': ['/ajax-api'], api: ['/api', '/ajax-api'] }[mount]
  return prefixes.flatMap((prefix) =>
    roots.flatMap((root) =>
      root === ''
        ? [`${prefix}${path}`]
        : versions.map((spelling) => `${prefix}${root}${spelling}${path}`),
    ),
  )
}

function streamHandler(parts: ServerParts, endpoint: StreamEndpoint, handler: AnyStreamHandler) {
  const fields = fieldsOf(endpoint.input)
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const { database, settings } = parts
    const query = readQuery(request.query as Record<string, string | string[]>, fields)
    const input = parseInput(endpoint.input, Object.assign(query, pathParams(request)))
    const caller = await authenticate(request)
    await authorize(endpoint.access, { db: database.read, caller }, input)

    const gone = new AbortController()
    request.raw.once('close', () => {
      if (!request.raw.complete) gone.abort()
    })
    const context: StreamContext = {
      db: database.read,
      snapshot: (read) => database.snapshot(read),
      caller,
      settings,
      fold: parts.fold,
      signal: gone.signal,
    }
    const answer = await handler(context, input, streamRequest(request)).finally(() =>
      drain(request),
    )
    if (isDownload(answer)) return sendDownload(request, reply, answer)
    return answer === undefined ? reply.code(200).send() : sendJson(reply, answer)
  }
}

/**
 * Reads what is left of a body that was refused half way: a client that only reads the answer once
 * it has sent everything would else wait until the connection is given up.
 */
function drain({ raw }: FastifyRequest): void {
  if (!raw.complete) raw.resume()
}

function streamRequest(request: FastifyRequest): StreamRequest {
  const length = request.headers['content-length']
  return {
    body: request.body instanceof Readable ? request.body : Readable.from([]),
    sizeBytes: length === undefined ? undefined : Number(length),
    range: request.method === 'HEAD' ? undefined : parseRangeHeader(request.headers.range),
    ifRange: request.headers['if-range']?.toString(),
  }
}

function isDownload(answer: unknown): answer is Download {
  return answer !== null && typeof answer === 'object' && 'body' in answer
}

function sendDownload(request: FastifyRequest, reply: FastifyReply, download: Download) {
  const { body, sizeBytes, totalBytes, range, etag } = download
  reply
    .header('content-type', download.contentType)
    .header('content-disposition', contentDisposition(download.filename))
    .header('content-length', String(sizeBytes))
    .header('accept-ranges', 'bytes')
    .header('etag', etag)
    .header('last-modified', download.lastModified.toUTCString())
    // An artifact is data of a stranger: opened as a page it gets no scripts and no origin.
    .header('content-security-policy', "sandbox; default-src 'none'")
  if (range === 'unsatisfiable') reply.code(416).header('content-range', `bytes */${totalBytes}`)
  else if (range !== undefined) {
    reply.code(206).header('content-range', `bytes ${range.start}-${range.end}/${totalBytes}`)
  }
  if (request.headers['if-none-match'] === etag) {
    body.destroy()
    return reply.removeHeader('content-length').code(304).send()
  }
  if (request.method === 'HEAD') {
    body.destroy()
    return reply.send()
  }
  return reply.send(body)
}
