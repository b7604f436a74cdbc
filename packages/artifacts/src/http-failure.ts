import { ApiError, invalid } from '@millrace/api/errors'
import type { ArtifactPath } from './artifact-path.ts'
import { noSuchArtifact } from './artifact-refusal.ts'

const RETRY_SECONDS = 5
const REASON_CHARS_MAX = 300

/** A refusal of another artifact server in the words of our API; reads the answer's body. */
export async function toHttpFailure(
  response: Response,
  origin: string,
  path: ArtifactPath,
): Promise<ApiError> {
  const reason = await reasonOf(response)
  const { status } = response
  if (status === 404) return noSuchArtifact(path)
  if (status === 401 || status === 403) {
    return new ApiError('PERMISSION_DENIED', `${origin} denies the request: ${reason}`)
  }
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) return invalid(reason)
  return new ApiError('TEMPORARILY_UNAVAILABLE', `${origin} answers ${status}: ${reason}`, {
    retryAfterSeconds: Number(response.headers.get('retry-after')) || RETRY_SECONDS,
  })
}

/** Another server that gives no answer. */
export function toUnreachable(error: unknown, origin: string): unknown {
  if (error instanceof ApiError || !(error instanceof Error)) return error
  if (error.name === 'AbortError') return error
  const { cause } = error
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : error.message
  return new ApiError('TEMPORARILY_UNAVAILABLE', `${origin} cannot be reached: ${code}`, {
    cause: error,
    retryAfterSeconds: RETRY_SECONDS,
  })
}

/** MLflow's servers say why in JSON; what stands before them may say it in pages. */
async function reasonOf(response: Response): Promise<string> {
  const text = await response.text().catch(() => '')
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    if (typeof message === 'string') return message
  } catch {
    // Not JSON.
  }
  return text.replace(/\s+/g, ' ').trim().slice(0, REASON_CHARS_MAX) || `status ${response.status}`
}
