import { type Api, api } from '@millrace/api/api'
import { clientMethod, type Endpoint } from '@millrace/api/endpoint'
import { ApiError, ERROR_STATUS, type ErrorCode } from '@millrace/api/errors'
import type { z } from 'zod'

/** One endpoint as a function; throws `ApiError` with the code that the server answered. */
export interface Call<E extends Endpoint = Endpoint> {
  (input: z.input<E['input']>, options?: { signal?: AbortSignal }): Promise<z.output<E['output']>>
  /** The contract's entry, for caches that need a key. */
  readonly endpoint: E
}

/** The whole API by group and endpoint: `client.runs.search({ … })`. */
export type Client = { [G in keyof Api]: { [E in keyof Api[G]]: Call<Api[G][E] & Endpoint> } }

export interface ClientOptions {
  /** Origin and static prefix of the server, such as `http://127.0.0.1:5000`; '' in a page. */
  baseUrl: string
  /** `ajax-api` in pages, where a proxy may let only that through. */
  root?: 'api' | 'ajax-api'
  fetch?: (url: string, init: RequestInit) => Promise<Response>
  headers?: Record<string, string>
}

/** A typed client of the JSON API, derived from the contract. */
export function createClient(options: ClientOptions): Client {
  const client: Record<string, Record<string, Call>> = {}
  for (const [groupName, group] of Object.entries(api)) {
    const calls: Record<string, Call> = {}
    for (const [name, endpoint] of Object.entries<Endpoint>(group)) {
      calls[name] = createCall(endpoint, options)
    }
    client[groupName] = calls
  }
  return client as unknown as Client // The loop above visits exactly the groups of `Api`.
}

function createCall(endpoint: Endpoint, options: ClientOptions): Call {
  const { version = '2.0' } = endpoint
  const method = clientMethod(endpoint.method)
  const send = options.fetch ?? fetch
  const root = endpoint.audience === 'ui' ? 'ajax-api' : (options.root ?? 'api')
  const call = async (input: unknown, { signal }: { signal?: AbortSignal } = {}) => {
    const { path, rest } = fillPath(endpoint.path, input as Record<string, unknown>)
    const url = `${options.baseUrl}/${root}/${version}${path}`
    const hasBody = method !== 'GET'
    const response = await send(hasBody ? url : url + queryString(rest), {
      method,
      headers: { ...(hasBody && { 'content-type': 'application/json' }), ...options.headers },
      ...(hasBody && { body: JSON.stringify(rest, wireValue) }),
      ...(signal && { signal }),
    })
    const text = await response.text()
    if (!response.ok) throw toApiError(response.status, text)
    return endpoint.output.parse(text === '' ? {} : parseJson(text))
  }
  return Object.assign(call, { endpoint })
}

/** Puts path parameters into the path; what is left is the query or body. */
function fillPath(template: string, input: Record<string, unknown>) {
  const rest = { ...input }
  const path = template.replace(/:(\w+)|\*/g, (segment, name: string | undefined) => {
    const field = name ?? 'path'
    const value = String(rest[field] ?? '')
    delete rest[field]
    return segment === '*'
      ? value.split('/').map(encodeURIComponent).join('/')
      : encodeURIComponent(value)
  })
  return { path, rest }
}

function queryString(input: Record<string, unknown>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(input)) {
    if (value === undefined) continue
    if (Array.isArray(value)) for (const element of value) query.append(name, String(element))
    else query.append(name, String(value))
  }
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

/** What JSON cannot say travels as text: integers beyond 2^53, NaN and the infinities. */
function wireValue(_key: string, value: unknown): unknown {
  const isText = typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))
  return isText ? String(value) : value
}

/** Integers beyond 2^53 keep every digit, as bigint, where the runtime can tell them. */
function parseJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text)
  return JSON.parse(text, ((_key: string, value: unknown, context?: { source: string }) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
    return context && /^-?\d+$/.test(context.source) ? BigInt(context.source) : value
  }) as (key: string, value: unknown) => unknown)
}

function toApiError(status: number, text: string): Error {
  try {
    const { error_code, message } = JSON.parse(text) as { error_code: string; message: string }
    if (error_code in ERROR_STATUS) return new ApiError(error_code as ErrorCode, message)
  } catch {
    // An answer that is not JSON comes from a proxy, or from a server without that endpoint.
  }
  if (status === 404) return new ApiError('ENDPOINT_NOT_FOUND', 'The server has no such endpoint.')
  return new Error(`The server answered ${status}: ${text.slice(0, 500)}`)
}
