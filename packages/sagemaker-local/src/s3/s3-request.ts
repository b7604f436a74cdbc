import { randomBytes } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { rawQuery } from '../auth/canonical-request.ts'
import type { FindSigningKey } from '../auth/sigv4.ts'
import type { ObjectStore } from './object-store.ts'
import { S3Error } from './s3-error.ts'

export interface S3Options {
  store: ObjectStore
  /** Where buckets lie whose creator names no region. `us-east-1` unless given. */
  region?: string
  /** Twelve digits; requests that expect another owner are refused. */
  accountId?: string
  /** With it, requests must be signed with one of these keys; without, nobody looks. */
  findKey?: FindSigningKey
  /** Host names below which the first label is a bucket, besides `localhost` and those of AWS. */
  hosts?: string[]
  /** The route to serve, for a server that rewrites addresses. `*` unless given. */
  path?: string
}

/** One request, taken apart. */
export interface S3Request {
  method: string
  bucket: string | undefined
  key: string | undefined
  /** Whether the bucket is part of the host name. */
  isVirtualHost: boolean
  query: Map<string, string>
  headers: IncomingHttpHeaders
  region: string
  accountId: string
  requestId: string
  body: S3Body
  /** For forms, which bring their signature in the body. */
  findKey?: FindSigningKey
}

/** What a client sends behind the head. */
export interface S3Body {
  /** The bytes without their framing; throws at the end when they are not those that were signed. */
  bytes: AsyncIterable<Uint8Array>
  /** Undefined when the client does not say. */
  length: number | undefined
  /** A trailer, once all bytes have arrived. */
  trailer(name: string): string | undefined
}

export interface S3Answer {
  /** 200 unless given. */
  status?: number
  headers?: Record<string, string | number>
  body?: string | Readable
}

/** An operation of S3. */
export type RunOperation = (store: ObjectStore, request: S3Request) => S3Answer | Promise<S3Answer>

const AWS_HOST = /^(?:(.+)\.)?s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?$/

/** Takes a request apart, all but its body. `url` is the one the client sent. */
export function parseS3Request(
  { method = 'GET', headers }: Pick<IncomingMessage, 'method' | 'headers'>,
  url: string,
  { region = 'us-east-1', accountId = '000000000000', hosts = [] }: S3Options,
): Omit<S3Request, 'body'> {
  const hostBucket = bucketOfHost(headers.host ?? '', ['localhost', ...hosts])
  const path = decodePath(url.split('?', 1)[0] ?? '/').slice(1)
  const slash = path.indexOf('/')
  const first = slash === -1 ? path : path.slice(0, slash)
  const rest = slash === -1 ? '' : path.slice(slash + 1)
  const [bucket, key] = hostBucket === undefined ? [first, rest] : [hostBucket, path]
  return {
    method,
    bucket: bucket || undefined,
    key: key || undefined,
    isVirtualHost: hostBucket !== undefined,
    query: new Map(rawQuery(url)),
    headers,
    region,
    accountId,
    requestId: randomBytes(8).toString('hex').toUpperCase(),
  }
}

/** Whether a request is an upload by a form, whose signature is in its body and checked there. */
export function isFormUpload({
  method,
  bucket,
  key,
  query,
  headers,
}: Omit<S3Request, 'body'>): boolean {
  const isForm = headers['content-type']?.toLowerCase().startsWith('multipart/form-data') ?? false
  return (
    method === 'POST' && bucket !== undefined && key === undefined && query.size === 0 && isForm
  )
}

/** The bucket of a request to a bucket or an object. */
export function bucketOf({ bucket }: S3Request): string {
  if (bucket === undefined) throw new S3Error('MethodNotAllowed')
  return bucket
}

/** Bucket and key of a request to an object. */
export function objectOf(request: S3Request): { bucket: string; key: string } {
  if (request.key === undefined) throw new S3Error('MethodNotAllowed')
  return { bucket: bucketOf(request), key: request.key }
}

/** A header as one text; undefined when it was not sent. */
export function headerOf({ headers }: Pick<S3Request, 'headers'>, name: string) {
  const value = headers[name]
  return Array.isArray(value) ? value.join(',') : value
}

function bucketOfHost(host: string, hosts: string[]): string | undefined {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  const aws = AWS_HOST.exec(name)
  if (aws) return aws[1]
  const base = hosts.find((base) => name.endsWith(`.${base}`))
  return base === undefined ? undefined : name.slice(0, -base.length - 1)
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw new S3Error('InvalidURI', { details: { URI: path } })
  }
}
