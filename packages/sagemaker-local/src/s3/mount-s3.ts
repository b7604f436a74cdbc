import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { FastifyInstance } from 'fastify'
import { foreignPage } from '../auth/browser-guard.ts'
import { isSigV2Presigned, verifySigV2Presigned } from '../auth/sigv2-presigned.ts'
import {
  checkPresignedTime,
  claimedScope,
  type VerifiedSignature,
  verifySigV4,
} from '../auth/sigv4.ts'
import { SigV4Error } from '../auth/sigv4-error.ts'
import { s3Body } from './s3-body.ts'
import { S3Error } from './s3-error.ts'
import { findOperation } from './s3-operations.ts'
import {
  headerOf,
  isFormUpload,
  parseS3Request,
  type S3Answer,
  type S3Options,
  type S3Request,
} from './s3-request.ts'
import { errorXml } from './s3-xml.ts'

const METHODS = ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'] as const
// How long a client that still sends may take to get to an answer that did not wait for it.
const DRAIN_MS = 30_000

/**
 * Serves S3 on every path of a scope, which must be its own. A router refuses addresses that it
 * cannot decode; where S3's own answer matters, rewrite them all to one `path`: what counts here is
 * the address that the client sent.
 */
export function mountS3(scope: FastifyInstance, options: S3Options): void {
  // Before the framework looks at the body: any content type is good for an object, also none.
  scope.addHook('onRequest', async (request, reply) => {
    reply.hijack()
    await answerS3(request.raw, reply.raw, { ...options, url: request.originalUrl }, (error) =>
      request.log.error({ err: error }, 'An S3 request failed'),
    )
  })
  scope.route({
    method: [...METHODS],
    url: options.path ?? '*',
    exposeHeadRoute: false,
    handler: () => undefined,
  })
}

/** Answers one request to S3, whose address as the client sent it is `url`. */
async function answerS3(
  raw: IncomingMessage,
  response: ServerResponse,
  options: S3Options & { url: string },
  onFailure: (error: unknown) => void,
): Promise<void> {
  let requestId = ''
  const resource = options.url.split('?', 1)[0] ?? '/'
  try {
    const head = parseS3Request(raw, options.url, options)
    requestId = head.requestId
    const signature = authenticate(raw, options, head)
    checkOwner(raw, options)
    const region = regionOf(raw, options) ?? head.region
    const { findKey } = options
    const request = { ...head, region, body: s3Body(raw, signature), ...(findKey && { findKey }) }
    const answer = await findOperation(request)(options.store, request)
    await send(raw, response, { requestId, answer })
  } catch (error) {
    if (response.headersSent || response.destroyed) {
      // The answer has begun or nobody waits for one: a broken connection says so.
      response.destroy()
      return
    }
    const refusal = refusalOf(error)
    if (refusal.code === 'InternalError') onFailure(error)
    await send(raw, response, { requestId, answer: refusalAnswer(refusal, resource, requestId) })
  }
}

function authenticate(
  raw: IncomingMessage,
  { findKey, url, hosts }: S3Options & { url: string },
  head: Omit<S3Request, 'body'>,
): VerifiedSignature | undefined {
  const foreign = findKey ? undefined : foreignPage(raw.headers, hosts)
  if (foreign !== undefined) throw new S3Error('AccessDenied', { message: foreign })
  const request = { method: raw.method ?? 'GET', url, headers: raw.headers }
  if (isFormUpload(head)) return undefined
  if (isSigV2Presigned(request)) {
    verifySigV2Presigned(request, {
      ...(findKey && { findKey }),
      ...(head.isVirtualHost && head.bucket !== undefined && { bucket: head.bucket }),
    })
    return undefined
  }
  if (findKey) return verifySigV4(request, { findKey })
  checkPresignedTime(request)
  return undefined
}

/** The region that the signature names, whether or not anybody checks it. */
function regionOf(raw: IncomingMessage, { url }: { url: string }): string | undefined {
  try {
    return claimedScope({ method: raw.method ?? 'GET', url, headers: raw.headers })?.region
  } catch {
    // Another form of authorisation, which is nobody's business where keys are not checked.
    return undefined
  }
}

function checkOwner(raw: IncomingMessage, { accountId }: S3Options): void {
  for (const name of ['x-amz-expected-bucket-owner', 'x-amz-source-expected-bucket-owner']) {
    const expected = headerOf(raw, name)
    if (accountId !== undefined && expected !== undefined && expected !== accountId) {
      throw new S3Error('AccessDenied')
    }
  }
}

function refusalOf(error: unknown): S3Error {
  if (error instanceof S3Error) return error
  if (error instanceof SigV4Error) {
    return new S3Error(error.code, { message: error.message, details: error.details, cause: error })
  }
  return new S3Error('InternalError', { cause: error })
}

function refusalAnswer(refusal: S3Error, resource: string, requestId: string): S3Answer {
  const { code, message, details, headers, status } = refusal
  const region = details['BucketRegion']
  return {
    status,
    headers: { ...headers, ...(region !== undefined && { 'x-amz-bucket-region': region }) },
    ...(status !== 304 && {
      body: errorXml({
        Code: code,
        Message: message,
        ...details,
        Resource: resource,
        RequestId: requestId,
        HostId: requestId,
      }),
    }),
  }
}

async function send(
  raw: IncomingMessage,
  response: ServerResponse,
  { requestId, answer }: { requestId: string; answer: S3Answer },
): Promise<void> {
  const { status = 200, headers = {}, body } = answer
  const length = typeof body === 'string' ? Buffer.byteLength(body) : 0
  const isText = typeof body === 'string'
  const mayHaveBody = status !== 204 && status !== 304
  for (const [name, value] of Object.entries({
    'x-amz-request-id': requestId,
    'x-amz-id-2': requestId,
    ...(isText && { 'content-type': 'application/xml' }),
    ...(mayHaveBody && { 'content-length': length }),
    ...headers,
  })) {
    response.setHeader(name, value)
  }
  if (!raw.complete && expectsBody(raw)) response.setHeader('connection', 'close')
  response.writeHead(status)
  const isHead = raw.method === 'HEAD'
  if (isHead || body === undefined || isText) {
    if (body instanceof Readable) body.destroy()
    response.end(isHead || !mayHaveBody ? undefined : body)
    drain(raw)
    return
  }
  await pipeline(body, response)
}

/** Takes what a client still sends, for a while, so that it comes to read the answer. */
function drain(raw: IncomingMessage): void {
  if (raw.complete) return
  const timer = setTimeout(() => raw.destroy(), DRAIN_MS)
  raw.once('close', () => clearTimeout(timer))
  raw.resume()
}

function expectsBody(raw: IncomingMessage): boolean {
  return Number(raw.headers['content-length'] ?? 0) > 0 || 'transfer-encoding' in raw.headers
}
