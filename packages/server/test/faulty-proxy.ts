import { once } from 'node:events'
import {
  Agent,
  createServer,
  type IncomingMessage,
  type ServerResponse,
  request as send,
} from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { Random } from './seeded-random.ts'

/**
 * What can happen to a request on its way: it never arrives; the client's side breaks before the
 * answer, after it, or in the middle of it; the answer is late, or later than clients wait; the
 * request arrives twice, as from a proxy that tries another time by itself.
 */
export const FAULTS = [
  'not sent',
  'left',
  'answer dropped',
  'answer cut',
  'answer late',
  'answer too late',
  'sent twice',
] as const
export type Fault = (typeof FAULTS)[number]

export interface FaultyProxy extends AsyncDisposable {
  url: string
  /** How often each fault happened. */
  counts: Record<Fault, number>
}

interface Options {
  targetPort: number
  random: Random
  /** Share of requests with a fault. */
  share: number
  /** Longer than clients wait. */
  tooLateMs: number
}

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
}

/** A proxy for HTTP that has, for each connection to it, one of its own, and that breaks them. */
export async function startFaultyProxy(options: Options): Promise<FaultyProxy> {
  const { random, share } = options
  const counts = Object.fromEntries(FAULTS.map((fault) => [fault, 0])) as FaultyProxy['counts']
  const upstreams = new WeakMap<Socket, Upstream>()
  const server = createServer((request, response) => {
    const upstream = upstreams.get(request.socket)
    if (upstream === undefined) return response.destroy()
    const fault = random.chance(share) ? random.pick(FAULTS) : undefined
    if (fault !== undefined) counts[fault]++
    return void pass(request, response, { upstream, fault, options }).catch(() => {
      request.socket.resetAndDestroy()
    })
  })
  server.on('connection', (socket) => {
    const upstream = new Upstream(options.targetPort)
    upstreams.set(socket, upstream)
    socket.on('error', () => {})
    socket.once('close', () => upstream.break())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function pass(
  request: IncomingMessage,
  response: ServerResponse,
  { upstream, fault, options }: { upstream: Upstream; fault: Fault | undefined; options: Options },
): Promise<void> {
  const { random, tooLateMs } = options
  const client = request.socket
  const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>))
  if (fault === 'not sent') return void client.resetAndDestroy()
  const answering = upstream.send(request, body)
  if (fault === 'left') {
    answering.catch(() => {})
    await wait(random.below(20))
    upstream.break()
    return void client.resetAndDestroy()
  }
  let answer = await answering
  if (fault === 'answer late') await wait(random.below(300))
  if (fault === 'answer too late') await wait(tooLateMs)
  if (fault === 'sent twice') {
    upstream.break()
    answer = await upstream.send(request, body)
  }
  if (fault === 'answer dropped') {
    upstream.break()
    return void client.resetAndDestroy()
  }
  const { status, headers } = answer
  response.writeHead(status, { ...headers, 'content-length': String(answer.body.length) })
  if (fault === 'answer cut') {
    response.write(answer.body.subarray(0, answer.body.length / 2), () => {
      upstream.break()
      client.destroy()
    })
    return
  }
  response.end(answer.body)
}

/** The proxy's side of the server, for one client's connection. */
class Upstream {
  readonly #port: number
  readonly #sockets = new Set<Socket>()
  #agent: Agent

  constructor(port: number) {
    this.#port = port
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 })
  }

  send({ method = 'GET', url = '/', headers }: IncomingMessage, body: Buffer): Promise<Answer> {
    const { 'transfer-encoding': _, ...others } = headers
    const agent = this.#agent
    return new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: this.#port, method, path: url, agent }
      const length = { 'content-length': String(body.length) }
      const message = send({ ...options, headers: { ...others, ...length } }, (response) => {
        Array.fromAsync(response as AsyncIterable<Buffer>).then((chunks) => {
          const { statusCode: status = 0, headers: got } = response
          const { 'transfer-encoding': __, ...kept } = got
          resolve({ status, headers: kept, body: Buffer.concat(chunks) })
        }, reject)
      })
      message.on('socket', (socket) => this.#sockets.add(socket))
      message.on('error', reject)
      message.end(body)
    })
  }

  /** Ends the connection as a network that fails does; the next request opens another. */
  break(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
    this.#sockets.clear()
    this.#agent.destroy()
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 })
  }
}
