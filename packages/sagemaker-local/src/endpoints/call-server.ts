import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'

/**
 * Servers close connections that were idle, the hastiest of them after 2 s, and a request may then be
 * on its way. Ours are closed first, because a request cannot be sent twice: it may be the one that
 * ends a server.
 */
const IDLE_MS = 1_000
const agent = new Agent({ keepAlive: true, timeout: IDLE_MS })

/** What a server has answered. */
export interface ServerAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

/** Why there is no answer. */
export class NoServerAnswer extends Error {
  readonly kind: 'refused' | 'timeout' | 'broken' | 'too-large' | 'gone'

  constructor(kind: NoServerAnswer['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

export interface ServerCall {
  port: number
  headers: Record<string, string>
  body: Buffer
  timeoutMs: number
  /** Aborted when nobody waits for the answer any more. */
  signal: AbortSignal
}

/** An answer that has begun. */
export interface OpenAnswer {
  status: number
  headers: IncomingHttpHeaders
  /** Its body as it comes; throws NoServerAnswer where it breaks off. */
  chunks(): AsyncGenerator<Buffer, void>
  /** The whole of its body; throws NoServerAnswer when it is larger, or breaks off. */
  read(bytesMax: number): Promise<Buffer>
}

/**
 * `POST /invocations` of a server on loopback.
 *
 * @throws NoServerAnswer
 */
export async function callServer({
  answerBytesMax,
  ...call
}: ServerCall & { answerBytesMax: number }): Promise<ServerAnswer> {
  const { status, headers, read } = await openAnswer(call)
  return { status, headers, body: await read(answerBytesMax) }
}

/**
 * The same, as far as to the head of the answer. The time limit is that of the whole answer.
 *
 * @throws NoServerAnswer
 */
export async function openAnswer(call: ServerCall): Promise<OpenAnswer> {
  const limit = AbortSignal.timeout(call.timeoutMs)
  const failure = (error: unknown) => {
    if (error instanceof NoServerAnswer) return error
    const message = error instanceof Error ? error.message : String(error)
    if (limit.aborted) return new NoServerAnswer('timeout', message)
    if (call.signal.aborted) return new NoServerAnswer('gone', message)
    const isRefused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
    return new NoServerAnswer(isRefused ? 'refused' : 'broken', message)
  }
  const answer = await send(call, AbortSignal.any([limit, call.signal])).catch((error: unknown) => {
    throw failure(error)
  })
  async function* chunks(): AsyncGenerator<Buffer, void> {
    try {
      // Without an encoding, a response gives bytes.
      for await (const chunk of answer as AsyncIterable<Buffer>) yield chunk
    } catch (error) {
      throw failure(error)
    }
  }
  return { status: answer.statusCode ?? 0, headers: answer.headers, chunks, read }

  async function read(bytesMax: number): Promise<Buffer> {
    const read: Buffer[] = []
    let bytes = 0
    for await (const chunk of chunks()) {
      bytes += chunk.length
      if (bytes > bytesMax) {
        throw new NoServerAnswer('too-large', `The answer is larger than ${bytesMax} bytes.`)
      }
      read.push(chunk)
    }
    return Buffer.concat(read)
  }
}

function send({ port, headers, body }: ServerCall, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path: '/invocations',
        method: 'POST',
        agent,
        signal,
        headers: { ...headers, 'content-length': String(body.length) },
      },
      resolve,
    )
    sent.once('error', reject)
    sent.end(body)
  })
}
