import { invalid } from '@millrace/api/errors'

/** A tracking server and what to show it. */
export interface TrackingServer {
  /** Origin and path prefix, without a slash at the end. */
  url: string
  headers: Record<string, string>
}

/** As MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD and MLFLOW_TRACKING_TOKEN give them. */
export interface TrackingCredentials {
  username?: string | undefined
  password?: string | undefined
  token?: string | undefined
}

/**
 * The server at a tracking URI, which may carry a user and a password itself.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for anything that is not http or https
 */
export function parseTrackingUri(uri: string, credentials: TrackingCredentials): TrackingServer {
  const url = URL.parse(uri)
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
    throw invalid(
      `The tracking URI '${uri}' is not that of a server: give one that begins with http:// or ` +
        'https://, or name the model by its directory.',
    )
  }
  const username = decodeURIComponent(url.username) || credentials.username
  const password = decodeURIComponent(url.password) || credentials.password
  const headers: Record<string, string> = {}
  if (username && password) headers['authorization'] = `Basic ${base64(`${username}:${password}`)}`
  else if (credentials.token) headers['authorization'] = `Bearer ${credentials.token}`
  return { url: `${url.origin}${url.pathname.replace(/\/+$/, '')}`, headers }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
