import { request } from 'node:http'

const ANSWER_MS = 2_000

/** What a server says to `GET /ping`: 200 is well, and 2 s are all that it has for it. */
export type Pong =
  | { kind: 'well' }
  | { kind: 'refused' }
  | { kind: 'silent' }
  | { kind: 'status'; status: number }

/** Asks a server on loopback how it is. */
export function ping(port: number, signal: AbortSignal): Promise<Pong> {
  return new Promise((resolve) => {
    const sent = request(
      { host: '127.0.0.1', port, path: '/ping', agent: false, signal, timeout: ANSWER_MS },
      (answer) => {
        answer.resume()
        const status = answer.statusCode ?? 0
        resolve(status === 200 ? { kind: 'well' } : { kind: 'status', status })
      },
    )
    const limit = setTimeout(() => sent.destroy(), ANSWER_MS)
    sent.once('error', (error) => {
      const isRefused = 'code' in error && error.code === 'ECONNREFUSED'
      resolve({ kind: isRefused ? 'refused' : 'silent' })
    })
    sent.once('close', () => {
      clearTimeout(limit)
      resolve({ kind: 'silent' })
    })
    sent.end()
  })
}
