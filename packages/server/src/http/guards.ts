import { isIP } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { sendErrorBody } from './error-response.ts'

export interface GuardOptions {
  /** Host names besides loopback and private addresses; `*` allows every name. */
  allowedHosts: readonly string[]
  /** Origins besides the server's own; `*` allows all, `https://*.example.com` its subdomains. */
  allowedOrigins: readonly string[]
  /** Paths that answer under any host name, for load balancers. */
  exemptPaths: ReadonlySet<string>
  frameOptions: string
}

/**
 * Refuses what only a hostile page would send: a host name that is not ours (DNS rebinding, 421)
 * and a foreign origin (403), on every route and method; answers preflights of allowed origins.
 */
export function guard(options: GuardOptions) {
  const isAllowed = rememberHosts(options.allowedHosts)
  return (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
    reply.header('x-content-type-options', 'nosniff')
    reply.header('referrer-policy', 'same-origin')
    if (options.frameOptions !== 'NONE') reply.header('x-frame-options', options.frameOptions)
    const host = request.headers.host
    if (!isAllowed(host) && !options.exemptPaths.has(pathOf(request.url))) {
      sendErrorBody(
        reply,
        421,
        'PERMISSION_DENIED',
        'Invalid Host header: this server does not answer to that name. Add it with --allowed-hosts.',
      )
      return
    }
    const { origin } = request.headers
    if (origin === undefined || isOwnOrigin(origin, host)) return done()
    if (!options.allowedOrigins.some((listed) => matchesOrigin(origin, listed))) {
      sendErrorBody(
        reply,
        403,
        'PERMISSION_DENIED',
        'Cross-origin request blocked. Add the origin with --cors-allowed-origins.',
      )
      return
    }
    allowOrigin(origin, request, reply, options)
    if (request.method !== 'OPTIONS') done()
  }
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? ''
}

/** Hosts that were let in lately: nearly every request names one of a few. */
const HOSTS_MAX = 100

function rememberHosts(allowed: readonly string[]): (host: string | undefined) => boolean {
  const letIn = new Set<string>()
  return (host) => {
    if (host !== undefined && letIn.has(host)) return true
    const isAllowed = isAllowedHost(host, allowed)
    if (isAllowed && host !== undefined) {
      if (letIn.size >= HOSTS_MAX) letIn.clear()
      letIn.add(host)
    }
    return isAllowed
  }
}

function allowOrigin(
  origin: string,
  request: FastifyRequest,
  reply: FastifyReply,
  { allowedOrigins }: GuardOptions,
): void {
  const isAny = allowedOrigins.includes('*')
  reply.header('access-control-allow-origin', isAny ? '*' : origin)
  if (!isAny) reply.header('access-control-allow-credentials', 'true').header('vary', 'Origin')
  if (request.method !== 'OPTIONS') return
  reply
    .header('access-control-allow-methods', 'GET, POST, PUT, PATCH, DELETE')
    .header('access-control-allow-headers', 'Content-Type, Authorization, X-MLFLOW-WORKSPACE')
    .header('access-control-max-age', '600')
    .code(204)
    .send()
}

/** Whether an origin is that of the address the request was sent to. */
export function isOwnOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)
}

function matchesOrigin(origin: string, listed: string): boolean {
  if (listed === '*' || listed === origin) return true
  const [, scheme, domain] = /^(https?:\/\/)\*(\..+)$/.exec(listed) ?? []
  if (scheme === undefined || domain === undefined) return false
  if (!origin.startsWith(scheme) || !origin.endsWith(domain)) return false
  return /^[a-z0-9.-]+$/i.test(origin.slice(scheme.length, -domain.length))
}

/** A host is ours if it is a loopback or private address, localhost, or listed by name. */
export function isAllowedHost(host: string | undefined, allowed: readonly string[]): boolean {
  if (allowed.includes('*')) return true
  const name = parseHost(host)
  if (name === undefined) return false
  if (name === 'localhost' || isLocalAddress(name)) return true
  const spelling = host?.toLowerCase()
  return allowed.some((entry) => {
    const pattern = entry.toLowerCase()
    if (pattern.startsWith('*.')) return name.endsWith(pattern.slice(1))
    return pattern === name || pattern === spelling
  })
}

/** The name or address in a Host header without its port, or undefined if it is neither. */
function parseHost(host: string | undefined): string | undefined {
  const bracketed = /^\[([0-9a-fA-F:.]+)\](?::\d{1,5})?$/.exec(host ?? '')
  if (bracketed?.[1] !== undefined) return isIP(bracketed[1]) === 6 ? bracketed[1] : undefined
  const plain = /^([a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?)\.?(?::\d{1,5})?$/.exec(host ?? '')
  return plain?.[1]?.toLowerCase()
}

function isLocalAddress(name: string): boolean {
  const version = isIP(name)
  if (version === 6) {
    const address = name.toLowerCase()
    return (
      address === '::1' || /^f[cd][0-9a-f]{2}:/.test(address) || /^fe[89ab][0-9a-f]:/.test(address)
    )
  }
  if (version !== 4) return false
  const [first = 0, second = 0] = name.split('.').map(Number)
  return (
    first === 127 ||
    first === 10 ||
    (first === 192 && second === 168) ||
    (first === 172 && second >= 16 && second <= 31)
  )
}
