import { ApiError, notFound } from '@millrace/api/errors'
import { PAGES_PATH, PAGES_TOKEN_HEADER } from '@millrace/api/sagemaker-pages'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { authenticate } from './authenticate.ts'
import { isOwnOrigin } from './guards.ts'

/** A control plane on this machine that answers the pages of this server, and what it wants to be shown. */
export interface PlaneAddress {
  /** `http://127.0.0.1:5055` */
  url: string
  token: string
}

/** Where the control plane is, once it has been started. */
export interface PlaneLink {
  address: PlaneAddress | undefined
}

const ROOT = '/ajax-api/millrace/sagemaker'
const BODY_MAX_BYTES = 8 * 1024 * 1024

/**
 * Passes the questions of the pages about jobs and endpoints on to the control plane. Whoever can ask
 * them can run programs, so pages of other origins are refused even where they may use the API.
 */
export function mountSageMakerProxy(
  app: FastifyInstance,
  staticPrefix: string,
  link: PlaneLink,
): void {
  for (const prefix of staticPrefix === '' ? [''] : ['', staticPrefix]) {
    app.route({
      method: ['GET', 'POST'],
      url: `${prefix}${ROOT}/*`,
      bodyLimit: BODY_MAX_BYTES,
      handler: (request, reply) => pass(request, reply, { link, root: `${prefix}${ROOT}` }),
    })
  }
}

async function pass(
  request: FastifyRequest,
  reply: FastifyReply,
  { link, root }: { link: PlaneLink; root: string },
) {
  await authenticate(request)
  refuseOtherPages(request)
  const { address } = link
  if (!address) {
    throw new ApiError('TEMPORARILY_UNAVAILABLE', 'The control plane is being started.', {
      retryAfterSeconds: 1,
    })
  }
  const url = new URL(PAGES_PATH + request.url.slice(root.length), address.url)
  // Dots in a path lead up in it.
  if (!url.pathname.startsWith(`${PAGES_PATH}/`)) throw notFound(`No such page: ${url.pathname}`)
  const answer = await ask(url, request, address)
  return reply
    .code(answer.status)
    .header('content-type', answer.headers.get('content-type') ?? 'application/json')
    .header('cache-control', 'no-store')
    .send(Buffer.from(await answer.arrayBuffer()))
}

function refuseOtherPages({ headers, method }: FastifyRequest): void {
  const { origin, host } = headers
  if (origin !== undefined && !isOwnOrigin(origin, host)) {
    throw new ApiError('PERMISSION_DENIED', 'Jobs and endpoints are for pages of this server only.')
  }
  // A page can send forms anywhere without being asked first, but no JSON.
  const isJson = headers['content-type']?.startsWith('application/json') ?? false
  if (method === 'POST' && !isJson) {
    throw new ApiError('BAD_REQUEST', 'The body of this request must be application/json.')
  }
}

async function ask(url: URL, { method, body }: FastifyRequest, { token }: PlaneAddress) {
  try {
    return await fetch(url, {
      method,
      headers: { [PAGES_TOKEN_HEADER]: token, 'content-type': 'application/json' },
      ...(method === 'POST' && Buffer.isBuffer(body) ? { body: new Uint8Array(body) } : {}),
    })
  } catch (cause) {
    throw new ApiError('TEMPORARILY_UNAVAILABLE', 'The control plane does not answer.', {
      cause,
      retryAfterSeconds: 1,
    })
  }
}
