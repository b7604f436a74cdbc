import { setTimeout as wait } from 'node:timers/promises'
import { ApiError } from '@millrace/api/errors'
import { type Client, createClient } from '@millrace/client/client'
import type { TrackingServer } from '@millrace/models/tracking-server'

/** How often a call is tried, the first time included; the waits between double. */
export interface Patience {
  tries: number
  firstWaitMs: number
}

/** Before anything runs, nobody should wait long to hear that there is no server. */
export const IMPATIENT: Patience = { tries: 3, firstWaitMs: 200 }
/** After hours of training, a server that restarts is worth a quarter of a minute for each call. */
export const PATIENT: Patience = { tries: 7, firstWaitMs: 250 }

const BUSY = [429, 503]

/**
 * A client of a tracking server that tries again while the server is away or busy, and says in one
 * sentence what to do when it stays away or refuses the credentials.
 */
export function trackingClient(server: TrackingServer, patience: Patience): Client {
  return createClient({
    baseUrl: server.url,
    headers: server.headers,
    fetch: (url, init) => patientFetch(server, url, init, patience),
  })
}

/** As `fetch`, with the refusals of `trackingClient`. */
export async function patientFetch(
  server: TrackingServer,
  url: string,
  init: RequestInit,
  { tries, firstWaitMs }: Patience,
): Promise<Response> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await fetch(url, init).catch((error: unknown) => error)
    const isLast = attempt >= tries
    if (answer instanceof Response) {
      if (answer.status === 401) throw refusedCredentials(server)
      if (isLast || !BUSY.includes(answer.status)) return answer
      await answer.body?.cancel()
    } else if (isLast || init.signal?.aborted) {
      init.signal?.throwIfAborted()
      throw unreachable(server, answer)
    }
    await wait(firstWaitMs * 2 ** (attempt - 1))
  }
}

function refusedCredentials({ url }: TrackingServer): ApiError {
  return new ApiError(
    'UNAUTHENTICATED',
    `The tracking server at ${url} answers 401: set MLFLOW_TRACKING_USERNAME and ` +
      'MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to what it accepts.',
  )
}

function unreachable({ url }: TrackingServer, error: unknown): ApiError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const reason =
    cause instanceof Error ? ('code' in cause && cause.code) || cause.message : String(cause)
  return new ApiError(
    'TEMPORARILY_UNAVAILABLE',
    `No tracking server answers at ${url} (${reason}): start one with \`millrace server\`, or set ` +
      'MLFLOW_TRACKING_URI to the address of yours.',
    { cause: error },
  )
}
