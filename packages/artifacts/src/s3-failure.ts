import { ApiError, invalid, notFound } from '@millrace/api/errors'

/** What was tried when S3 failed. */
export interface S3Attempt {
  bucket: string
  /** The permission that it takes. */
  action: S3Action
  /** What a client would call the object; its absence means the bucket as a whole. */
  path?: string
}

export type S3Action =
  | 's3:GetObject'
  | 's3:PutObject'
  | 's3:DeleteObject'
  | 's3:ListBucket'
  | 's3:AbortMultipartUpload'

const RETRY_SECONDS = 5

const CREDENTIALS = [
  'ExpiredToken',
  'ExpiredTokenException',
  'InvalidAccessKeyId',
  'InvalidToken',
  'SignatureDoesNotMatch',
  'TokenRefreshRequired',
  'UnrecognizedClientException',
]
const DENIED = ['AccessDenied', 'AccessDeniedException', 'AllAccessDisabled', 'Forbidden']
const DAMAGED = ['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch', 'IncompleteBody']
const CLOCK = ['RequestTimeTooSkewed', 'RequestExpired', 'RequestInTheFuture']
const UNSUPPORTED = ['NotImplemented', 'MethodNotAllowed']

/**
 * A failed request to S3 in the words of our API. What will pass by itself or after a repair of
 * the configuration is 503 with Retry-After; what S3 forbids is 403; nothing predictable is a 500.
 * Text from S3 stays in `cause`: it names accounts and roles.
 */
export function toS3Failure(error: unknown, attempt: S3Attempt): unknown {
  if (error instanceof ApiError || !(error instanceof Error)) return error
  if (error.name === 'AbortError') return error
  const { name } = error
  const { bucket, action, path } = attempt
  const at = `s3://${bucket}`
  const status = statusOf(error)

  if (name === 'NoSuchBucket' || (status === 404 && path === undefined)) {
    return new ApiError('RESOURCE_DOES_NOT_EXIST', `There is no bucket '${bucket}' in S3.`, {
      cause: error,
    })
  }
  if (isMissing(error)) return notFound(`No such artifact: '${path ?? ''}'`)
  if (name === 'CredentialsProviderError' || name === 'TokenProviderError') {
    return unavailable(
      `This server has no AWS credentials for '${at}'. Set AWS_ACCESS_KEY_ID and ` +
        'AWS_SECRET_ACCESS_KEY, name a profile in AWS_PROFILE, or give the machine a role.',
      error,
    )
  }
  if (CREDENTIALS.includes(name)) {
    return unavailable(`S3 does not accept this server's AWS credentials: ${name}`, error)
  }
  if (CLOCK.includes(name)) {
    return unavailable(`S3 refuses requests because this server's clock is wrong: ${name}`, error)
  }
  if (isDamage(error)) {
    return unavailable(`Bytes were damaged on their way to '${at}': ${name}`, error)
  }
  if (name === 'InvalidObjectState') {
    return new ApiError('INVALID_STATE', `'${path}' is archived in S3 and must be restored first.`)
  }
  if (DENIED.includes(name) || name.startsWith('KMS.') || status === 403) {
    return new ApiError(
      'PERMISSION_DENIED',
      `S3 denies this server '${action}' on '${at}'${path === undefined ? '' : ` for '${path}'`}.`,
      { cause: error },
    )
  }
  if (UNSUPPORTED.includes(name)) {
    return new ApiError('NOT_IMPLEMENTED', `The S3 server of '${at}' does not offer this.`, {
      cause: error,
    })
  }
  if (status === 301 || name === 'PermanentRedirect') {
    return unavailable(`The bucket '${bucket}' is in another region than this server asks.`, error)
  }
  if (status !== undefined && status >= 400 && status < 500 && !isTransient(name, status)) {
    return invalid(`S3 refuses the request on '${at}': ${name}`)
  }
  return unavailable(`S3 cannot be used at the moment: '${at}' answers ${reason(error)}`, error)
}

/** Whether the bytes that arrived are not those that were sent. */
export function isDamage(error: unknown): boolean {
  return error instanceof Error && DAMAGED.includes(error.name)
}

/** Whether the object (or, for a HEAD of a bucket, the bucket) is not there. */
export function isMissing(error: unknown): boolean {
  return error instanceof Error && (error.name === 'NoSuchKey' || statusOf(error) === 404)
}

/** The HTTP status of an SDK error; undefined when there was no answer. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error && '$metadata' in error)) return undefined
  const metadata = error.$metadata as { httpStatusCode?: number } | undefined
  return metadata?.httpStatusCode
}

function isTransient(name: string, status: number): boolean {
  return status === 408 || status === 429 || /timeout|slowdown|throttl/i.test(name)
}

function reason(error: Error): string {
  const status = statusOf(error)
  if (status !== undefined && status >= 400) return `${status} ${error.name}`
  const code = 'code' in error ? String(error.code) : error.name
  return code
}

/** 503 with the seconds after which trying again makes sense. */
export function unavailable(message: string, cause?: unknown): ApiError {
  return new ApiError('TEMPORARILY_UNAVAILABLE', message, {
    ...(cause !== undefined && { cause }),
    retryAfterSeconds: RETRY_SECONDS,
  })
}
