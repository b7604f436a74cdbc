import { Agent, type IncomingHttpHeaders, request } from 'node:http'

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
  answerBytesMax: number
  /** Aborted when nobody waits for the answer any more. */
  signal: AbortSignal
}

/**
 * `POST /invocations` of a server on loopback.
 *
 * @throws NoServerAnswer
 */
export async function callServer(call: ServerCall): Promise<ServerAnswer> {
  const limit = AbortSignal.timeout(call.timeoutMs)
  const signal = AbortSignal.any([limit, call.signal])
  try {
    return await send(call, signal)
  } catch (error) {
    if (error instanceof NoServerAnswer) throw error
    const message = error instanceof Error ? error.message : String(error)
    if (limit.aborted) throw new NoServerAnswer('timeout', message)
    if (call.signal.aborted) throw new NoServerAnswer('gone', message)
    const isRefused = error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED'
    throw new NoServerAnswer(isRefused ? 'refused' : 'broken', message)
  }
}

function send(
  { port, headers, body, answerBytesMax }: ServerCall,
  signal: AbortSignal,
): Promise<ServerAnswer> {
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
      (answer) => {
        const chunks: Buffer[] = []
        let bytes = 0
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > answerBytesMax) {
            answer.destroy(
              new NoServerAnswer('too-large', `The answer is larger than ${answerBytesMax} bytes.`),
            )
            return
          }
          chunks.push(chunk)
        })
        answer.once('error', reject)
        answer.once('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: Buffer.concat(chunks),
          }),
        )
      },
    )
    sent.once('error', reject)
    sent.end(body)
  })
}
