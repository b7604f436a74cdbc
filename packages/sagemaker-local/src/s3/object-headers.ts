import { checksumHeader } from './checksums.ts'
import type { ObjectProperties, StoredObject } from './object-entry.ts'
import type { WriteCondition } from './objects.ts'
import { notImplemented, S3Error } from './s3-error.ts'
import { headerOf, type S3Request } from './s3-request.ts'

const METADATA = 'x-amz-meta-'
const METADATA_MAX_BYTES = 2048

/** Headers that are kept with an object as they are and given back. */
const KEPT = [
  'cache-control',
  'content-disposition',
  'content-language',
  'expires',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-bucket-key-enabled',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
]

/** What would be a lie to accept: nothing here encrypts with a client's key, or locks. */
const REFUSED = [
  'x-amz-server-side-encryption-customer-algorithm',
  'x-amz-copy-source-server-side-encryption-customer-algorithm',
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-object-lock-legal-hold',
  'x-amz-write-offset-bytes',
]

const OVERRIDES = {
  'response-cache-control': 'cache-control',
  'response-content-disposition': 'content-disposition',
  'response-content-encoding': 'content-encoding',
  'response-content-language': 'content-language',
  'response-content-type': 'content-type',
  'response-expires': 'expires',
} as const

/** What the headers of a write say about the object. */
export function propertiesOf(request: S3Request): ObjectProperties {
  const refused = REFUSED.find((name) => headerOf(request, name) !== undefined)
  if (refused) throw notImplemented(refused)
  const headers: Record<string, string> = {}
  for (const name of KEPT) {
    const value = headerOf(request, name)
    if (value !== undefined) headers[name] = value
  }
  if (headers['x-amz-storage-class'] === 'STANDARD') delete headers['x-amz-storage-class']
  const encodings = (headerOf(request, 'content-encoding') ?? '')
    .split(',')
    .map((encoding) => encoding.trim())
    .filter((encoding) => encoding !== '' && encoding !== 'aws-chunked')
  if (encodings.length > 0) headers['content-encoding'] = encodings.join(',')
  return {
    contentType: headerOf(request, 'content-type') ?? 'binary/octet-stream',
    headers,
    metadata: metadataOf(request),
  }
}

function metadataOf(request: S3Request): Record<string, string> {
  const metadata: Record<string, string> = {}
  let size = 0
  for (const name of Object.keys(request.headers)) {
    if (!name.startsWith(METADATA)) continue
    const value = headerOf(request, name) ?? ''
    metadata[name.slice(METADATA.length)] = value
    size += name.length - METADATA.length + value.length
  }
  if (size > METADATA_MAX_BYTES) {
    throw new S3Error('MetadataTooLarge', {
      details: { Size: String(size), MaxSizeAllowed: String(METADATA_MAX_BYTES) },
    })
  }
  return metadata
}

/** The headers of GetObject and HeadObject, without the length. */
export function objectHeaders(
  object: StoredObject,
  request: S3Request,
): Record<string, string | number> {
  const headers: Record<string, string | number> = {
    ...validators(object),
    'accept-ranges': 'bytes',
    'content-type': object.contentType,
    // An object may be a page; in a browser it must not act for whoever looks at it.
    'content-security-policy': 'sandbox',
    'x-content-type-options': 'nosniff',
  }
  for (const name of [...KEPT, 'content-encoding']) {
    const value = object.headers[name]
    if (value !== undefined) headers[name] = value
  }
  for (const [name, value] of Object.entries(object.metadata)) headers[METADATA + name] = value
  const tags = Object.keys(object.tags).length
  if (tags > 0) headers['x-amz-tagging-count'] = tags
  for (const [name, header] of Object.entries(OVERRIDES)) {
    const value = request.query.get(name)
    if (value !== undefined && isHeaderValue(value)) headers[header] = value
  }
  return headers
}

/** The checksum headers, when the client asks for them. */
export function checksumHeaders({ checksum }: StoredObject): Record<string, string> {
  if (!checksum) return {}
  return {
    [checksumHeader(checksum.algorithm)]: checksum.value,
    'x-amz-checksum-type': checksum.type,
  }
}

/** `ETag` and `Last-Modified`. */
export function validators(object: StoredObject): { etag: string; 'last-modified': string } {
  return {
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.modifiedMs).toUTCString(),
  }
}

/** Stands the conditions of a read, whose headers begin with `prefix`; 304 or 412 when not. */
export function checkConditions(
  request: Pick<S3Request, 'headers'>,
  object: StoredObject,
  prefix = '',
): void {
  const [match, noneMatch] = ['if-match', 'if-none-match'].map((name) =>
    headerOf(request, prefix + name),
  )
  const since = (name: string) => timeOf(headerOf(request, prefix + name))
  // HTTP dates have no smaller part than a second.
  const modifiedMs = Math.floor(object.modifiedMs / 1000) * 1000
  const failed = (condition: string) =>
    new S3Error('PreconditionFailed', { details: { Condition: prefix + condition } })

  if (match !== undefined) {
    if (!matches(match, object)) throw failed('If-Match')
  } else if (modifiedMs > (since('if-unmodified-since') ?? Infinity)) {
    throw failed('If-Unmodified-Since')
  }
  const isUnchanged =
    noneMatch === undefined
      ? modifiedMs <= (since('if-modified-since') ?? -Infinity)
      : matches(noneMatch, object)
  if (!isUnchanged) return
  // A copy has no cached answer to fall back on.
  if (prefix !== '') throw failed(noneMatch === undefined ? 'If-Modified-Since' : 'If-None-Match')
  throw new S3Error('NotModified', { headers: validators(object) })
}

/** The conditions of a write: `If-None-Match: *` and `If-Match: <etag>`. */
export function writeCondition(request: S3Request): WriteCondition | undefined {
  const match = headerOf(request, 'if-match')
  const noneMatch = headerOf(request, 'if-none-match')
  if (noneMatch !== undefined && noneMatch !== '*') throw notImplemented('If-None-Match')
  if (match === undefined && noneMatch === undefined) return undefined
  return (existing) => {
    if (noneMatch !== undefined && existing) {
      throw new S3Error('PreconditionFailed', { details: { Condition: 'If-None-Match' } })
    }
    if (match === undefined) return
    if (!existing) throw new S3Error('NoSuchKey')
    if (!matches(match, existing)) {
      throw new S3Error('PreconditionFailed', { details: { Condition: 'If-Match' } })
    }
  }
}

/**
 * The bytes of a `Range` header, inclusive; undefined for no header and for forms that S3 ignores
 * (several ranges, bad syntax). `InvalidRange` when none of them exists.
 */
export function rangeOf(
  header: string | undefined,
  sizeBytes: number,
): { start: number; end: number } | undefined {
  const [, first = '', last = ''] = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header ?? '') ?? []
  if (first === '' && last === '') return undefined
  const start = first === '' ? Math.max(sizeBytes - Number(last), 0) : Number(first)
  const end = first === '' || last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1)
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined
  if (start >= sizeBytes) {
    throw new S3Error('InvalidRange', {
      details: { RangeRequested: header ?? '', ActualObjectSize: String(sizeBytes) },
      headers: { 'content-range': `bytes */${sizeBytes}` },
    })
  }
  return { start, end }
}

function matches(header: string, { etag }: StoredObject): boolean {
  return header
    .split(',')
    .map((one) =>
      one
        .trim()
        .replace(/^W\//, '')
        .replace(/^"(.*)"$/, '$1'),
    )
    .some((one) => one === '*' || one === etag)
}

function timeOf(header: string | undefined): number | undefined {
  const ms = Date.parse(header ?? '')
  return Number.isNaN(ms) ? undefined : ms
}

function isHeaderValue(value: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(value)
}
