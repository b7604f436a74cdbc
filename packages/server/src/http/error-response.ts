import { ApiError, type ErrorCode } from '@millrace/api/errors'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** MLflow's JSON body of an error; the two last keys are there since 3.12. */
interface ErrorBody {
  error_code: ErrorCode
  message: string
  sqlstate?: string
  error_class?: string
}

const ERROR_CLASS: Partial<Record<ErrorCode, { sqlstate: string; error_class: string }>> = {
  INVALID_PARAMETER_VALUE: { sqlstate: 'KAM00', error_class: 'INVALID_PARAMETER_VALUE' },
  BAD_REQUEST: { sqlstate: 'KAM00', error_class: 'INVALID_PARAMETER_VALUE' },
  RESOURCE_DOES_NOT_EXIST: { sqlstate: 'KAM00', error_class: 'RESOURCE_NOT_FOUND' },
  NOT_FOUND: { sqlstate: 'KAM00', error_class: 'RESOURCE_NOT_FOUND' },
  ENDPOINT_NOT_FOUND: { sqlstate: 'KAM00', error_class: 'RESOURCE_NOT_FOUND' },
  RESOURCE_ALREADY_EXISTS: { sqlstate: 'KAM00', error_class: 'RESOURCE_ALREADY_EXISTS' },
  PERMISSION_DENIED: { sqlstate: 'KAM00', error_class: 'PERMISSION_DENIED' },
  INTERNAL_ERROR: { sqlstate: 'XXM00', error_class: 'CLIENT_INTERNAL_ERROR' },
  INVALID_STATE: { sqlstate: 'XXM00', error_class: 'CLIENT_INTERNAL_ERROR' },
  TEMPORARILY_UNAVAILABLE: { sqlstate: 'XXM00', error_class: 'CLIENT_INTERNAL_ERROR' },
}

/** Turns any thrown value into an answer; what nobody expected is logged and not told. */
export function sendError(error: unknown, request: FastifyRequest, reply: FastifyReply) {
  const refusal = toApiError(error)
  if (refusal !== undefined) {
    if (refusal.status >= 500 && refusal.cause !== undefined) {
      const { method, url } = request
      const causes = listCauses(refusal)
      request.log.error({ method, url: withoutSecrets(url), causes }, refusal.message)
    }
    if (refusal.retryAfterSeconds !== undefined) {
      reply.header('retry-after', String(refusal.retryAfterSeconds))
    }
    return sendErrorBody(reply, refusal.status, refusal.code, refusal.message)
  }
  const status = clientErrorStatus(error)
  if (status !== undefined && error instanceof Error) {
    // What is left of the body is read and dropped: a client that is still sending would otherwise
    // never come to the answer.
    request.raw.resume()
    return sendErrorBody(reply, status, 'BAD_REQUEST', error.message)
  }
  if (request.raw.destroyed && !request.raw.complete) {
    return sendErrorBody(reply, 400, 'BAD_REQUEST', 'The request was broken off.')
  }
  const { method, url } = request
  request.log.error({ err: error, method, url: withoutSecrets(url) }, 'unexpected error')
  return sendErrorBody(reply, 500, 'INTERNAL_ERROR', 'An internal error occurred; it was logged.')
}

/** How many causes of causes are worth a line. */
const CAUSES_MAX = 5

/**
 * What led to a failure, in words only: errors of drivers carry statements, rows and connection
 * settings beside them.
 */
function listCauses(error: Error): string[] {
  const causes: string[] = []
  let { cause } = error
  while (cause !== undefined && causes.length < CAUSES_MAX) {
    if (!(cause instanceof Error)) {
      causes.push(`a thrown ${typeof cause}`)
      break
    }
    const code = 'code' in cause ? ` ${String(cause.code)}` : ''
    const frames = cause.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? []
    causes.push(withoutSecrets([`${cause.name}${code}: ${cause.message}`, ...frames].join('\n')))
    cause = cause.cause
  }
  return causes
}

/** Passwords of URLs, and what stands in queries that sign or name a key. */
function withoutSecrets(text: string): string {
  return text
    .replace(/\/\/[^\s/@]*@/g, '//***@')
    .replace(
      /([?&][^=&\s]*(?:signature|token|credential|key|password|secret)[^=&\s]*=)[^&\s]*/gi,
      '$1***',
    )
}

/** Sends MLflow's error JSON with a status of its own, for refusals before any endpoint. */
export function sendErrorBody(
  reply: FastifyReply,
  status: number,
  error_code: ErrorCode,
  message: string,
) {
  const body = errorBody(error_code, message)
  return reply.code(status).header('content-type', 'application/json').send(body)
}

/** The JSON text of an error. */
export function errorBody(error_code: ErrorCode, message: string): string {
  const body: ErrorBody = { error_code, message, ...ERROR_CLASS[error_code] }
  return JSON.stringify(body)
}

function toApiError(error: unknown): ApiError | undefined {
  if (error instanceof ApiError) return error
  const isBusy = error instanceof Error && 'errcode' in error && Number(error.errcode) === 5
  if (!isBusy) return undefined
  return new ApiError('TEMPORARILY_UNAVAILABLE', 'The database is locked by another process.', {
    cause: error,
    retryAfterSeconds: 1,
  })
}

/** The HTTP framework's own refusals: a body over the limit, a malformed URL. */
function clientErrorStatus(error: unknown): number | undefined {
  if (!(error instanceof Error && 'statusCode' in error)) return undefined
  const status = Number(error.statusCode)
  return status >= 400 && status < 500 ? status : undefined
}
