import { Agent, request as send } from 'node:http'
import type { Endpoint } from '@millrace/api/endpoint'
import { ERROR_STATUS, type ErrorCode } from '@millrace/api/errors'
import type { FuzzRequest } from './fuzz-requests.ts'

export interface FuzzAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  body: Buffer
  ms: number
}

/** Longest that any request may take; one that a filter or pattern slows down shows here. */
const ANSWER_LIMIT_MS = 90_000

export function createAgent(connections: number): Agent {
  return new Agent({ keepAlive: true, maxSockets: connections })
}

/** Sends a request as it is and reads the whole answer. */
export function sendRaw(
  port: number,
  { method, url, headers, body }: Pick<FuzzRequest, 'method' | 'url' | 'headers' | 'body'>,
  agent: Agent,
): Promise<FuzzAnswer> {
  const startedMs = performance.now()
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(body.length) }
    const options = { host: '127.0.0.1', port, method, path: url, agent, timeout: ANSWER_LIMIT_MS }
    const message = send({ ...options, headers: { ...headers, ...length } }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const status = response.statusCode ?? 0
        const ms = performance.now() - startedMs
        resolve({ status, headers: response.headers, body: Buffer.concat(chunks), ms })
      })
    })
    message.on('timeout', () => message.destroy(new Error(`no answer for ${ANSWER_LIMIT_MS} ms`)))
    message.on('error', reject)
    message.end(body)
  })
}

/** Statuses that the HTTP layer itself answers, under the code BAD_REQUEST. */
const HTTP_REFUSALS = [400, 405, 408, 413, 414, 415, 416, 431]
/** Where a store without multipart uploads and presigned links says so, which clients look for. */
const MAY_BE_NOT_IMPLEMENTED = /^artifacts\.(\w+MultipartUpload|presigned\w+)$/

/** What is wrong with an answer, or undefined. `secrets` must not be in it. */
export function findFault(
  { target, method, isKnown }: FuzzRequest,
  answer: FuzzAnswer,
  secrets: readonly string[],
): string | undefined {
  const { status, headers } = answer
  const text = answer.body.toString()
  if (status >= 500 && !(status === 501 && MAY_BE_NOT_IMPLEMENTED.test(target.id))) {
    return `answered ${status}`
  }
  if (headers['x-content-type-options'] !== 'nosniff') return 'answered without nosniff'
  if (/\n\s+at \S+ \(|SQLITE_|sqlite3?_|node:internal/.test(text)) return 'told its insides'
  const leaked = secrets.find((secret) => text.includes(secret))
  if (leaked !== undefined) return `told '${leaked}'`
  if (method === 'HEAD' || status === 304) return undefined
  const isDownload = 'direction' in target.endpoint && target.endpoint.direction === 'download'
  if (status >= 400) return isKnown ? findErrorFault(answer, text, isDownload) : undefined
  if ('direction' in target.endpoint || !isKnown) return undefined
  return findOutputFault(target.endpoint, text)
}

function findErrorFault({ status, headers }: FuzzAnswer, text: string, isDownload: boolean) {
  const type = String(headers['content-type'])
  if (status === 404 && type.startsWith('text/html')) return undefined
  if (status === 416 && isDownload) return undefined
  if (!type.startsWith('application/json')) return `answered ${status} as ${type}`
  const { error_code, message } = parse(text) as { error_code?: string; message?: unknown }
  if (error_code === undefined || !(error_code in ERROR_STATUS)) return `has the code ${error_code}`
  if (typeof message !== 'string' || message === '') return 'has no message'
  const expected = ERROR_STATUS[error_code as ErrorCode]
  const isHttpRefusal = error_code === 'BAD_REQUEST' && HTTP_REFUSALS.includes(status)
  if (expected !== status && !isHttpRefusal) return `answered ${error_code} as ${status}`
  return undefined
}

function findOutputFault(endpoint: Endpoint, text: string): string | undefined {
  let output: unknown
  try {
    output = parse(text)
  } catch (error) {
    return `answered what is not JSON: ${String(error)}`
  }
  const parsed = endpoint.output.safeParse(output)
  return parsed.success ? undefined : `answered what its contract refuses: ${parsed.error.message}`
}

/** JSON whose integers beyond 2^53 become bigint. */
export function parse(text: string): unknown {
  return JSON.parse(text, ((_key: string, value: unknown, context?: { source: string }) => {
    const source = context?.source ?? ''
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value
    return /^-?\d+$/.test(source) ? BigInt(source) : value
  }) as (key: string, value: unknown) => unknown)
}

/** A request as a line that can be read and sent again. */
export function describeRequest({ method, url, headers, body }: FuzzRequest): string {
  const shownMax = 2000
  const shown = body?.toString('latin1').slice(0, shownMax) ?? ''
  const more = body && body.length > shownMax ? `... (${body.length} bytes)` : ''
  return `${method} ${url.slice(0, shownMax)} ${JSON.stringify(headers)}\n${shown}${more}`
}
