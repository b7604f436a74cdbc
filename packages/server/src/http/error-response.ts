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
  request.log.error({ err: error, method: request.method, url: request.url }, 'unexpected error')
  return sendErrorBody(reply, 500, 'INTERNAL_ERROR', 'An internal error occurred; it was logged.')
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
