import type { IncomingMessage, Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { AWS_NAME } from '../auth/browser-guard.ts'
import { createServerIdentity, type Identity } from './certificates.ts'

export interface AwsProxyOptions {
  /** Vouches for the hosts of AWS. */
  authority: () => Identity
  /** Hosts besides AWS's that may be reached through here: `example.org`, `*.example.org`. */
  tunnels: string[]
}

const TLS_PORT = 443
const CONTEXTS_MAX = 256
const CONNECT_MS = 15_000

/**
 * Makes an HTTP server the HTTPS proxy of its clients (CONNECT): connections to hosts of AWS end
 * here, and what comes through them is answered by the server itself; connections to hosts that are
 * allowed go where they were meant to; all others are refused. Only for clients on this machine.
 * Disposing it breaks its connections, for which a server that closes would wait.
 */
export function serveAwsProxy(server: Server, options: AwsProxyOptions): Disposable {
  const open = new Set<Duplex>()
  const contexts = new Map<string, SecureContext>()
  server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    socket.on('error', () => socket.destroy())
    const target = targetOf(request)
    if (!isLoopback(socket)) refuse(socket, 'The proxy is for this machine only.')
    else if (!target) refuse(socket, `'${request.url}' is not a host with a port.`, 400)
    else if (AWS_NAME.test(target.host) && target.port === TLS_PORT) {
      terminate(server, socket, { head, context: contextOf(contexts, target.host, options) })
    } else if (
      target.port === TLS_PORT &&
      options.tunnels.some((name) => fits(target.host, name))
    ) {
      tunnel(socket, head, target)
    } else {
      refuse(
        socket,
        `${target.host}:${target.port} is not a host of AWS; \`millrace sagemaker-local --proxy-allow ${target.host}\` lets it through.`,
      )
    }
  })
  return {
    [Symbol.dispose]() {
      for (const socket of open) socket.destroy()
    },
  }
}

interface Target {
  host: string
  port: number
}

function targetOf({ url = '' }: IncomingMessage): Target | undefined {
  const [, host, port] = /^([a-z0-9._-]{1,253}):(\d{1,5})$/i.exec(url) ?? []
  return host === undefined ? undefined : { host: host.toLowerCase(), port: Number(port) }
}

function isLoopback({ remoteAddress = '' }: Socket): boolean {
  return /^(::ffff:)?127\.|^::1$/.test(remoteAddress)
}

/** `*.x.org` is every host below x.org. */
function fits(host: string, name: string): boolean {
  return name.startsWith('*.') ? host.endsWith(name.slice(1)) : host === name
}

function contextOf(
  contexts: Map<string, SecureContext>,
  host: string,
  { authority }: AwsProxyOptions,
): SecureContext {
  const known = contexts.get(host)
  if (known) return known
  const { key, certificate } = createServerIdentity(authority(), host)
  const context = createSecureContext({
    key: key.export({ type: 'pkcs8', format: 'pem' }),
    cert: certificate,
  })
  // Every bucket is a host of its own.
  if (contexts.size >= CONTEXTS_MAX) contexts.clear()
  contexts.set(host, context)
  return context
}

function terminate(
  server: Server,
  socket: Socket,
  { head, context }: { head: Buffer; context: SecureContext },
): void {
  socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
  if (head.length > 0) socket.unshift(head)
  const inner = new TLSSocket(socket, {
    isServer: true,
    secureContext: context,
    ALPNProtocols: ['http/1.1'],
  })
  inner.on('error', () => inner.destroy())
  inner.once('secure', () => server.emit('connection', inner))
}

function tunnel(socket: Socket, head: Buffer, { host, port }: Target): void {
  const far = connect({ host, port, timeout: CONNECT_MS })
  far.once('connect', () => {
    far.setTimeout(0)
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    if (head.length > 0) far.write(head)
    far.pipe(socket)
    socket.pipe(far)
  })
  far.once('timeout', () => far.destroy(new Error(`no answer in ${CONNECT_MS / 1000} seconds`)))
  far.once('error', (error) => {
    if (far.connecting || socket.bytesWritten === 0) {
      refuse(socket, `${host}:${port} cannot be reached: ${error.message}.`, 502)
    } else socket.destroy()
  })
  socket.once('close', () => far.destroy())
}

function refuse(socket: Socket, message: string, status: 400 | 403 | 502 = 403): void {
  const phrase = { 400: 'Bad Request', 403: 'Forbidden', 502: 'Bad Gateway' }[status]
  const body = `${message}\n`
  socket.end(
    `HTTP/1.1 ${status} ${phrase}\r\ncontent-type: text/plain\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
