/**
 * Every error code on the wire with its HTTP status. The statuses are MLflow's
 * (3.17 `ERROR_CODE_TO_HTTP_STATUS`), except INVALID_STATE: it is a predictable refusal, and a 5xx
 * would make clients retry it for four minutes.
 */
export const ERROR_STATUS = {
  INVALID_PARAMETER_VALUE: 400,
  BAD_REQUEST: 400,
  MALFORMED_REQUEST: 400,
  RESOURCE_ALREADY_EXISTS: 400,
  INVALID_STATE: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  RESOURCE_DOES_NOT_EXIST: 404,
  NOT_FOUND: 404,
  ENDPOINT_NOT_FOUND: 404,
  RESOURCE_CONFLICT: 409,
  ABORTED: 409,
  REQUEST_LIMIT_EXCEEDED: 429,
  RESOURCE_EXHAUSTED: 429,
  INTERNAL_ERROR: 500,
  NOT_IMPLEMENTED: 501,
  TEMPORARILY_UNAVAILABLE: 503,
} as const

export type ErrorCode = keyof typeof ERROR_STATUS

/** The one error class of the product; `code` decides the HTTP status, `message` is for people. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly code: ErrorCode
  /** Seconds after which the caller may try again; sent as `Retry-After`. */
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; retryAfterSeconds?: number } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.retryAfterSeconds = options.retryAfterSeconds
  }

  /** The HTTP status that belongs to the code. */
  get status(): number {
    return ERROR_STATUS[this.code]
  }
}

/** 400 `INVALID_PARAMETER_VALUE`. */
export function invalid(message: string): ApiError {
  return new ApiError('INVALID_PARAMETER_VALUE', message)
}

/** 404 `RESOURCE_DOES_NOT_EXIST`. */
export function notFound(message: string): ApiError {
  return new ApiError('RESOURCE_DOES_NOT_EXIST', message)
}

/** 400 `RESOURCE_ALREADY_EXISTS`. */
export function alreadyExists(message: string): ApiError {
  return new ApiError('RESOURCE_ALREADY_EXISTS', message)
}

/** Throws an error that becomes a 500 with a stack in the log: for states that cannot be. */
export function invariant(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Error(`Impossible state: ${why}`)
}
