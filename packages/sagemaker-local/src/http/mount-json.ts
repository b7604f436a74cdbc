import type { FastifyInstance, FastifyReply } from 'fastify'
import { type AnyOperation, JSON_SERVICES } from '../operations/operation.ts'
import { AwsError, unknownOperation } from './aws-error.ts'
import type { Caller } from './caller.ts'
import { INNER_PATH } from './protocol.ts'
import { parseInput } from './validation.ts'

const CONTENT_TYPE = 'application/x-amz-json-1.1'
const BODY_BYTES_MAX = 8 * 2 ** 20

/** Serves AWS JSON 1.1: `POST /` with the operation in `X-Amz-Target` and its input as the body. */
export function mountJson(scope: FastifyInstance, operations: AnyOperation[], caller: Caller) {
  const byTarget = new Map(
    operations
      .filter(({ service }) => service in JSON_SERVICES)
      .map((operation) => [targetOf(operation), operation]),
  )
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: BODY_BYTES_MAX },
    (_request, body, done) => done(null, body),
  )
  scope.setErrorHandler((error, request, reply) => sendError(reply, error, request.log))
  scope.post(INNER_PATH.json, async (request, reply) => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const target = String(request.headers['x-amz-target'])
    const operation = byTarget.get(target)
    const context = caller(request.raw, request.originalUrl, body, operation?.service)
    if (!operation) throw unknownOperation(target)
    const input = parseInput(operation.input, parseBody(body))
    // The list of operations forgets the type that `operation()` has tied to this schema.
    const answer = await operation.run(context, input as never)
    return reply.type(CONTENT_TYPE).send(JSON.stringify(withSeconds(answer ?? {})))
  })
}

/** Times are numbers of seconds in JSON. */
function withSeconds(value: unknown): unknown {
  if (value instanceof Date) return value.getTime() / 1000
  if (Array.isArray(value)) return value.map(withSeconds)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, withSeconds(inner)]),
  )
}

function targetOf({ service, name }: AnyOperation): string {
  const prefix = service in JSON_SERVICES ? JSON_SERVICES[service as 'SageMaker'] : service
  return `${prefix}.${name}`
}

/** A member that is null is one that is not there. */
function withoutNull(_name: string, value: unknown): unknown {
  return value === null ? undefined : value
}

function parseBody(body: Buffer): unknown {
  if (body.length === 0) return {}
  try {
    return JSON.parse(body.toString('utf8'), withoutNull) ?? {}
  } catch (cause) {
    throw new AwsError('SerializationException', 'The body of the request is not JSON.', { cause })
  }
}

interface Log {
  error(details: object, message: string): void
}

function sendError(reply: FastifyReply, error: unknown, log: Log) {
  const answer = awsErrorOf(error, log)
  return reply
    .status(answer.status)
    .header('x-amzn-errortype', answer.code)
    .type(CONTENT_TYPE)
    .send(JSON.stringify({ __type: answer.code, message: answer.message, ...answer.members }))
}

/** Any thrown value as an answer of AWS; what was not foreseen is logged and its text withheld. */
export function awsErrorOf(error: unknown, log: Log): AwsError {
  if (error instanceof AwsError) return error
  const { statusCode, message } =
    error instanceof Error && 'statusCode' in error
      ? { statusCode: Number(error.statusCode), message: error.message }
      : { statusCode: 500, message: '' }
  if (statusCode >= 400 && statusCode < 500) return new AwsError('ValidationException', message)
  log.error({ err: error }, 'An operation failed in a way that was not foreseen.')
  return new AwsError('InternalFailure', 'The control plane failed; its log says how.', {
    status: 500,
    cause: error,
  })
}
