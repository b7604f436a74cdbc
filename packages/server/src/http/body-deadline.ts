import type { FastifyInstance } from 'fastify'
import { refuseUnreadable } from './unreadable-requests.ts'

const REQUEST_TIMEOUT = 'ERR_HTTP_REQUEST_TIMEOUT'

/**
 * Answers 408 and hangs up when the body of a request is not there in time: a client that sends a
 * byte a second must not hold a connection for as long as it likes. Only for bodies that are read
 * into memory; what is streamed may take hours.
 */
export function limitBodyTime(scope: FastifyInstance, limitMs: number): void {
  scope.addHook('preParsing', (request, _reply, payload, done) => {
    const { socket, headers } = request.raw
    const hasBody = headers['content-length'] !== undefined || 'transfer-encoding' in headers
    if (!hasBody) return done(null, payload)
    const late = () => {
      const error = Object.assign(new Error('the body is late'), { code: REQUEST_TIMEOUT })
      refuseUnreadable(error, socket)
    }
    const deadline = setTimeout(late, limitMs)
    const clear = () => clearTimeout(deadline)
    payload.once('end', clear).once('close', clear).once('error', clear)
    done(null, payload)
  })
}
