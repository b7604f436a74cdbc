import type { Bucket } from '@google-cloud/storage'
import { ApiError, invalid } from '@millrace/api/errors'
import type { ArtifactPath } from './artifact-path.ts'
import { noSuchArtifact } from './artifact-refusal.ts'
import type { OtherLocation } from './location.ts'

/**
 * How Google Cloud Storage is reached. Credentials are Google's application default ones:
 * `GOOGLE_APPLICATION_CREDENTIALS`, those of gcloud, or of the machine or pod.
 */
export interface GcsOptions {
  /** Another server than Google's, which is asked without credentials. */
  endpoint?: string
}

const RETRY_SECONDS = 5
/** After this long without a byte a request is given up. */
export const SILENCE_MAX_MS = 30_000

/**
 * The bucket of a location. The SDK is loaded here.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a location that names no bucket
 */
export async function openGcsBucket(
  { authority, uri }: OtherLocation,
  { endpoint }: GcsOptions,
): Promise<Bucket> {
  if (!/^[a-z0-9][\w.-]{1,220}[a-z0-9]$/.test(authority)) {
    throw invalid(`'${uri}' names no bucket of Google Cloud Storage`)
  }
  const { Storage } = await import('@google-cloud/storage')
  const storage = new Storage({
    timeout: SILENCE_MAX_MS,
    retryOptions: { maxRetries: 2, maxRetryDelay: 2 },
    ...(endpoint !== undefined && { apiEndpoint: endpoint, projectId: 'none' }),
  })
  return storage.bucket(authority)
}

/** A failed request to Google in the words of our API. */
export function toGcsFailure(error: unknown, bucket: string, path: ArtifactPath): unknown {
  if (!(error instanceof Error) || error instanceof ApiError || error.name === 'AbortError') {
    return error
  }
  const status = statusOf(error)
  const at = `gs://${bucket}`
  if (status === 404) {
    if (!/bucket does not exist/i.test(error.message)) return noSuchArtifact(path)
    return new ApiError('RESOURCE_DOES_NOT_EXIST', `There is no bucket '${bucket}' at Google.`, {
      cause: error,
    })
  }
  if (status === 403) {
    return new ApiError('PERMISSION_DENIED', `Google denies this server the request on '${at}'.`, {
      cause: error,
    })
  }
  if (/default credentials|invalid_grant|ENOENT.*json/i.test(error.message) || status === 401) {
    return unavailable(
      `This server has no Google credentials for '${at}' that are accepted. Name a key in ` +
        'GOOGLE_APPLICATION_CREDENTIALS, or give the machine a service account.',
      error,
    )
  }
  if (status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429) {
    return invalid(`Google refuses the request on '${at}': ${status}`)
  }
  const code = 'code' in error ? String(error.code) : error.name
  return unavailable(
    `Google Cloud Storage cannot be used at the moment: '${at}' answers ${code}`,
    error,
  )
}

/** The HTTP status of an error of the SDK. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error && 'code' in error)) return undefined
  const status = Number(error.code)
  return Number.isInteger(status) && status >= 100 ? status : undefined
}

function unavailable(message: string, cause: Error): ApiError {
  return new ApiError('TEMPORARILY_UNAVAILABLE', message, {
    cause,
    retryAfterSeconds: RETRY_SECONDS,
  })
}
