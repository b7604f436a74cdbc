import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import type { File } from '@google-cloud/storage'
import { SILENCE_MAX_MS } from './gcs-bucket.ts'

const TRIES_MAX = 3
const PAUSE_MS = 100

/**
 * Sends a request to Google up to three times. The SDK's own way of large bodies is not used: it
 * copies those that go up, and puts more listeners on those that come down than Node thinks right.
 *
 * @throws Error with the HTTP status as its `code`
 */
export async function requestOfGoogle(
  url: string,
  options: RequestOptions,
  { bytes, statuses }: { bytes?: Buffer; statuses: readonly number[] },
): Promise<IncomingMessage> {
  for (let tries = 1; ; tries++) {
    const isLast = tries >= TRIES_MAX || options.signal?.aborted === true
    const response = await send(url, options, bytes).catch((error: unknown) => {
      if (isLast) throw error
    })
    if (response) {
      const status = response.statusCode ?? 0
      if (statuses.includes(status)) return response
      const answer = await text(response)
      const isPassing = status >= 500 || status === 429
      if (!isPassing || isLast) {
        throw Object.assign(new Error(answer.slice(0, 300)), { code: status })
      }
    }
    await wait(PAUSE_MS * 2 ** tries)
  }
}

async function send(url: string, options: RequestOptions, bytes: Buffer | undefined) {
  const start = url.startsWith('https:') ? httpsRequest : httpRequest
  const request = start(url, { ...options, timeout: SILENCE_MAX_MS })
  request.once('timeout', () => request.destroy(new Error('Google does not answer')))
  const answered = once(request, 'response')
  request.end(bytes)
  const [response] = (await answered) as [IncomingMessage]
  return response
}

/** The bytes of an object, as they are stored, from `start` to `end`. */
export async function readGcsBody(
  file: File,
  { start, end, signal }: { start: number; end: number; signal: AbortSignal },
): Promise<Readable> {
  const { apiEndpoint, customEndpoint, authClient } = file.storage
  const url = new URL(
    `${apiEndpoint}/storage/v1/b/${encodeURIComponent(file.bucket.name)}/o/` +
      encodeURIComponent(file.name),
  )
  url.searchParams.set('alt', 'media')
  if (file.generation !== undefined) url.searchParams.set('generation', String(file.generation))
  // As the SDK does, another server than Google's is shown no credentials.
  const credentials = customEndpoint ? {} : await authClient.getRequestHeaders(url.href)
  const headers = {
    ...Object.fromEntries(new Headers(credentials)),
    // Google would unpack what is stored packed.
    'accept-encoding': 'gzip',
    range: `bytes=${start}-${end}`,
  }
  const statuses = start === 0 ? [200, 206] : [206]
  return await requestOfGoogle(url.href, { headers, signal }, { statuses })
}
