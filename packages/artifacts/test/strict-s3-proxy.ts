import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { S3_CREDENTIALS } from './s3-servers.ts'
import { type SignedRequest, signatureFault } from './sigv4-check.ts'

/** What to do to a request instead of passing it on and its answer back. */
export type Fault =
  /** An error as S3 makes them. */
  | { status: number; code: string; headers?: Record<string, string> }
  /** The connection breaks before an answer. */
  | 'reset'
  /** It is done, and the connection breaks before the answer. */
  | 'lost-answer'
  /** Nothing is ever answered. */
  | 'silence'
  /** The answer breaks off, or falls silent, after so many bytes of its body. */
  | { cutAfterBytes: number }
  | { silentAfterBytes: number }
  /** A bit of the body turns over on its way. */
  | 'damage'
  /** The answer names another ETag. */
  | 'wrong-etag'
  /** A bit of the answer is another one than was stored. */
  | 'rotten'
  /** Passed on without its `If-Match`, as servers do that do not know it. */
  | 'unconditional'

/**
 * A proxy in front of an S3 server that is as strict as AWS about signatures and checksums, and
 * that can be told to fail. Signatures hold for the proxy's own address.
 */
export interface StrictProxy extends AsyncDisposable {
  endpoint: string
  /** What came in, in order, without the bodies. */
  seen: SeenRequest[]
  /** Asked for every request. */
  fault: (request: SignedRequest) => Fault | undefined
  /** Downloads under way that a client has not ended. */
  openAnswers: Set<ServerResponse>
}

export interface SeenRequest extends Omit<SignedRequest, 'body'> {
  bodyBytes: number
}

export async function startStrictProxy(upstream: string): Promise<StrictProxy> {
  const server = createServer((incoming, outgoing) => {
    answer(proxy, upstream, incoming, outgoing).catch(() => outgoing.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy: StrictProxy = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: [],
    fault: () => undefined,
    openAnswers: new Set(),
    async [Symbol.asyncDispose]() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
  return proxy
}

async function answer(
  proxy: StrictProxy,
  upstream: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const { method = '', url = '', headers } = incoming
  const request: SignedRequest = { method, url, headers, body: await buffer(incoming) }
  proxy.seen.push({ method, url, headers, bodyBytes: request.body.length })
  const fault = proxy.fault(request)
  if (fault === 'silence') return
  if (fault === 'reset') {
    incoming.socket.resetAndDestroy()
    return
  }
  if (typeof fault === 'object' && 'status' in fault) {
    refuse(request, outgoing, fault.status, fault.code, fault.headers)
    return
  }
  if (fault === 'damage') request.body = damaged(request.body)
  const secrets = { [S3_CREDENTIALS.AWS_ACCESS_KEY_ID]: S3_CREDENTIALS.AWS_SECRET_ACCESS_KEY }
  const code = signatureFault(request, secrets)
  if (code !== undefined) {
    refuse(request, outgoing, /Digest|Mismatch$/.test(code) ? 400 : 403, code)
    return
  }
  if (fault === 'unconditional') delete request.headers['if-match']
  const response = await passOn(upstream, request)
  if (fault === 'lost-answer') {
    await buffer(response)
    incoming.socket.resetAndDestroy()
    return
  }
  if (fault === 'wrong-etag') response.headers.etag = `"${'0'.repeat(32)}"`
  outgoing.writeHead(response.statusCode ?? 502, response.headers)
  proxy.openAnswers.add(outgoing)
  outgoing.once('close', () => {
    proxy.openAnswers.delete(outgoing)
    response.destroy()
  })
  await sendBody(response, outgoing, fault)
}

function passOn(upstream: string, { method, url, headers, body }: SignedRequest) {
  const outgoing = send(`${upstream}${url}`, { method, headers, setHost: false })
  outgoing.end(body)
  return new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve)
    outgoing.once('error', reject)
  })
}

async function sendBody(
  response: IncomingMessage,
  outgoing: ServerResponse,
  fault: Fault | undefined,
): Promise<void> {
  if (fault === 'rotten') {
    outgoing.end(damaged(await buffer(response)))
    return
  }
  if (typeof fault !== 'object' || 'status' in fault) {
    await pipeline(response, outgoing)
    return
  }
  let left = 'cutAfterBytes' in fault ? fault.cutAfterBytes : fault.silentAfterBytes
  for await (const chunk of response as AsyncIterable<Buffer>) {
    outgoing.write(chunk.subarray(0, left))
    left -= chunk.length
    if (left <= 0) break
  }
  // Written out before the end of the connection, or the client would see none of it.
  await new Promise((resolve) => outgoing.write(Buffer.alloc(0), resolve))
  if ('cutAfterBytes' in fault) outgoing.destroy()
}

function refuse(
  { method }: SignedRequest,
  outgoing: ServerResponse,
  status: number,
  code: string,
  headers: Record<string, string> = {},
): void {
  outgoing.writeHead(status, { 'content-type': 'application/xml', ...headers })
  const body = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>told to</Message></Error>`
  outgoing.end(method === 'HEAD' ? '' : body)
}

function damaged(body: Buffer): Buffer {
  const copy = Buffer.from(body)
  copy[0] = (copy[0] ?? 0) ^ 1
  return copy
}
