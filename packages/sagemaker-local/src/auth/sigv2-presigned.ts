import { createHmac } from 'node:crypto'
import { headerValue, rawQuery, type SignedRequest } from './canonical-request.ts'
import { type FindSigningKey, isSame } from './sigv4.ts'
import { SigV4Error } from './sigv4-error.ts'

/** The query names that are part of what SigV2 signs (boto3's `generate_presigned_url`). */
const SIGNED_NAMES = new Set([
  'acl',
  'cors',
  'delete',
  'lifecycle',
  'location',
  'logging',
  'notification',
  'partNumber',
  'policy',
  'requestPayment',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
  'restore',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versionId',
  'versioning',
  'versions',
  'website',
])

/** Whether an address is presigned in S3's old way, which boto3 still takes unless told otherwise. */
export function isSigV2Presigned(request: SignedRequest): boolean {
  const names = new Set(rawQuery(request.url).map(([name]) => name))
  return names.has('AWSAccessKeyId') && names.has('Signature') && names.has('Expires')
}

/**
 * Checks an address presigned with SigV2. `bucket` is the one of a virtual host, which is signed as
 * if it stood in the path. Without `findKey` only its time is checked.
 */
export function verifySigV2Presigned(
  request: SignedRequest,
  {
    findKey,
    bucket,
    nowMs = Date.now(),
  }: { findKey?: FindSigningKey; bucket?: string; nowMs?: number },
): void {
  const query = new Map(rawQuery(request.url))
  const expires = query.get('Expires') ?? ''
  if (!(Number(expires) * 1000 >= nowMs)) {
    throw new SigV4Error('AccessDenied', 'Request has expired', {
      Expires: expires,
      ServerTime: new Date(nowMs).toISOString(),
    })
  }
  if (!findKey) return
  const accessKeyId = query.get('AWSAccessKeyId') ?? ''
  const key = findKey(accessKeyId)
  if (!key) {
    throw new SigV4Error(
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
      { AWSAccessKeyId: accessKeyId },
    )
  }
  const token = query.get('x-amz-security-token')
  if (key.sessionToken !== token) {
    throw new SigV4Error('InvalidToken', 'The provided token is malformed or otherwise invalid.')
  }
  const stringToSign = textToSign(request, query, bucket)
  const signature = createHmac('sha1', key.secretAccessKey).update(stringToSign).digest('base64')
  if (!isSame(signature, query.get('Signature') ?? '')) {
    throw new SigV4Error(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
      { AWSAccessKeyId: accessKeyId, StringToSign: stringToSign },
    )
  }
}

function textToSign(
  request: SignedRequest,
  query: Map<string, string>,
  bucket: string | undefined,
): string {
  const amzHeaders = new Map<string, string>()
  for (const name of Object.keys(request.headers)) {
    if (name.startsWith('x-amz-')) amzHeaders.set(name, headerValue(request, name) ?? '')
  }
  for (const [name, value] of query) {
    if (name.startsWith('x-amz-')) amzHeaders.set(name, value)
  }
  const headerLines = [...amzHeaders].sort().map(([name, value]) => `${name}:${value.trim()}\n`)
  const path = `${bucket === undefined ? '' : `/${bucket}`}${request.url.split('?', 1)[0]}`
  const resources = [...query]
    .filter(([name]) => SIGNED_NAMES.has(name))
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`))
  return [
    request.method,
    headerValue(request, 'content-md5') ?? '',
    headerValue(request, 'content-type') ?? '',
    query.get('Expires') ?? '',
    `${headerLines.join('')}${path}${resources.length > 0 ? `?${resources.join('&')}` : ''}`,
  ].join('\n')
}
