import type { FastifyInstance } from 'fastify'
import type { AnyOperation } from '../operations/operation.ts'
import { unknownOperation } from './aws-error.ts'
import type { Caller } from './caller.ts'
import { decodeCbor, encodeCbor } from './cbor.ts'
import { awsErrorOf } from './mount-json.ts'
import { INNER_PATH } from './protocol.ts'
import { parseInput } from './validation.ts'

const CONTENT_TYPE = 'application/cbor'
const HEADERS = { 'smithy-protocol': 'rpc-v2-cbor' }
const BODY_BYTES_MAX = 2 ** 20

/** Serves CloudWatch as newer clients ask for it: `POST /service/<service>/operation/<name>`. */
export function mountCbor(scope: FastifyInstance, operations: AnyOperation[], caller: Caller) {
  const byName = new Map(
    operations
      .filter(({ service }) => service === 'CloudWatch')
      .map((operation) => [operation.name, operation]),
  )
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: BODY_BYTES_MAX },
    (_request, body, done) => done(null, body),
  )
  scope.setErrorHandler((error, request, reply) => {
    const { code, message, status } = awsErrorOf(error, request.log)
    return reply
      .status(status)
      .headers({ ...HEADERS, 'x-amzn-query-error': `${code};Sender` })
      .type(CONTENT_TYPE)
      .send(encodeCbor({ __type: `com.amazonaws.cloudwatch#${code}`, message }))
  })
  scope.post<{ Params: { operation: string } }>(
    `${INNER_PATH.cbor}/service/:service/operation/:operation`,
    async (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      const operation = byName.get(request.params.operation)
      const context = caller(request.raw, request.originalUrl, body, operation?.service)
      if (!operation) throw unknownOperation(request.params.operation)
      const members = body.length === 0 ? {} : decodeCbor(body)
      const answer = await operation.run(context, parseInput(operation.input, members) as never)
      return reply
        .headers(HEADERS)
        .type(CONTENT_TYPE)
        .send(encodeCbor(answer ?? {}))
    },
  )
}
