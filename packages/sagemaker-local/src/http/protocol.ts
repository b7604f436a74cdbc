import type { IncomingMessage } from 'node:http'
import { credentialScope } from './credential-scope.ts'

/** The protocols that share the port. */
export type Protocol = 'json' | 'query' | 'cbor' | 'rest' | 'registry' | 'plane' | 's3'

/**
 * Where the routes of the protocols lie inside. No client asks for such a path: a bucket's name
 * begins with a letter or a digit.
 */
export const INNER_PATH = {
  json: '/.aws/json',
  query: '/.aws/query',
  rest: '/.aws/rest',
  cbor: '/.aws/cbor',
  s3: '/.aws/s3',
} as const

/**
 * Which protocol a request speaks: the header of AWS JSON, then the service it was signed for, then
 * the form of its path. What nothing claims is S3, whose paths can be anything.
 */
export function protocolOf(request: Pick<IncomingMessage, 'method' | 'headers' | 'url'>): Protocol {
  const { headers, method } = request
  const url = request.url ?? '/'
  if (headers['x-amz-target'] !== undefined) return 'json'
  if (headers['smithy-protocol'] === 'rpc-v2-cbor') return 'cbor'
  const scope = credentialScope(headers.authorization, url)
  if (scope?.service === 's3') return 's3'
  const isForm = headers['content-type']?.startsWith('application/x-www-form-urlencoded') ?? false
  if (method === 'POST' && isForm && /^\/(\?|$)/.test(url)) return 'query'
  if (scope && /^(sagemaker|sagemaker-metrics)$/.test(scope.service)) return 'rest'
  if (/^\/v2(\/|\?|$)/.test(url)) return 'registry'
  if (url.startsWith('/.millrace/')) return 'plane'
  if (method === 'POST' && /^\/endpoints\/[^/]+\/(invocations|async-invocations)/.test(url)) {
    return 'rest'
  }
  return 's3'
}

/** The address by which the router finds the protocol of a request. */
export function innerUrl(request: Pick<IncomingMessage, 'method' | 'headers' | 'url'>): string {
  const url = request.url ?? '/'
  const protocol = protocolOf(request)
  // S3 and the registry decode addresses themselves, and say in their own words when they cannot.
  if (protocol === 'registry') return '/v2'
  if (protocol === 'rest' || protocol === 'cbor') {
    return `${INNER_PATH[protocol]}${isDecodable(url) ? url : '/'}`
  }
  return protocol === 'plane' ? url : INNER_PATH[protocol]
}

function isDecodable(url: string): boolean {
  try {
    decodeURIComponent(url.split('?', 1)[0] ?? '')
    return true
  } catch {
    return false
  }
}
