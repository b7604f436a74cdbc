import type { FastifyInstance } from 'fastify'
import type { RestOperation } from '../operations/operation.ts'
import { unknownOperation } from './aws-error.ts'
import type { Caller } from './caller.ts'
import { awsErrorOf } from './mount-json.ts'
import { INNER_PATH } from './protocol.ts'

/** Serves REST-JSON operations, whose inputs are a path, headers and a body as it is. */
export function mountRest(scope: FastifyInstance, operations: RestOperation[], caller: Caller) {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  scope.setErrorHandler((error, request, reply) => {
    const { code, message, status, members } = awsErrorOf(error, request.log)
    return reply
      .status(status)
      .header('x-amzn-errortype', code)
      .type('application/json')
      .send(JSON.stringify({ Message: message, message, ...members }))
  })
  for (const { method, path, bodyBytesMax, run } of operations) {
    scope.route<{ Params: Record<string, string> }>({
      method,
      url: `${INNER_PATH.rest}${path}`,
      bodyLimit: bodyBytesMax,
      handler: async (request, reply) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        const context = caller(request.raw, request.originalUrl, body, 'SageMaker')
        const gone = new AbortController()
        reply.raw.once('close', () => gone.abort())
        const answer = await run(context, {
          params: request.params,
          query: new URL(request.originalUrl, 'http://localhost').searchParams,
          headers: request.headers,
          body,
          signal: gone.signal,
        })
        return reply.status(answer.status).headers(answer.headers).send(answer.body)
      },
    })
  }
  scope.all(`${INNER_PATH.rest}/*`, async (request) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    caller(request.raw, request.originalUrl, body)
    throw unknownOperation(`${request.method} ${request.originalUrl.split('?')[0]}`)
  })
}
