import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** A request as it came over the wire. */
export interface SignedRequest {
  method: string
  /** Path and query, exactly as sent. */
  url: string
  headers: IncomingHttpHeaders
  body: Buffer
}

/**
 * What S3 would refuse a signed request for, by its error code, or undefined. The signature is
 * worked out from AWS's description of Signature Version 4, in a header or in the query.
 */
export function signatureFault(
  request: SignedRequest,
  secretsById: Readonly<Record<string, string>>,
): string | undefined {
  const [path = '', query = ''] = request.url.split('?')
  const params = query.split('&').filter(Boolean).map(nameAndValue)
  const presigned = new Map(params.map(([name, value]) => [name, decodeURIComponent(value)]))
  const header = readHeader(request.headers.authorization)
  const isPresigned = presigned.has('X-Amz-Signature')
  const given = isPresigned
    ? {
        credential: presigned.get('X-Amz-Credential') ?? '',
        signedHeaders: presigned.get('X-Amz-SignedHeaders') ?? '',
        signature: presigned.get('X-Amz-Signature') ?? '',
        time: presigned.get('X-Amz-Date') ?? '',
      }
    : { ...header, time: String(request.headers['x-amz-date'] ?? '') }
  const [id = '', date = '', region = '', service = ''] = given.credential.split('/')
  const secret = secretsById[id]
  if (secret === undefined) return 'InvalidAccessKeyId'
  if (isPresigned && isOver(given.time, Number(presigned.get('X-Amz-Expires')))) {
    return 'AccessDenied'
  }
  const unsigned = Object.keys(request.headers).filter(
    (name) => name.startsWith('x-amz-') && !given.signedHeaders.split(';').includes(name),
  )
  if (unsigned.length > 0) return 'AccessDenied'

  const payload = isPresigned
    ? 'UNSIGNED-PAYLOAD'
    : String(request.headers['x-amz-content-sha256'] ?? '')
  const canonical = [
    request.method,
    path,
    params
      .filter(([name]) => name !== 'X-Amz-Signature')
      .sort(([a, x], [b, y]) => Buffer.compare(Buffer.from(a + x), Buffer.from(b + y)))
      .map(([name, value]) => `${name}=${value}`)
      .join('&'),
    ...given.signedHeaders
      .split(';')
      .map((name) => `${name}:${String(request.headers[name] ?? '').trim()}`),
    '',
    given.signedHeaders,
    payload,
  ].join('\n')
  const scope = `${date}/${region}/${service}/aws4_request`
  const text = ['AWS4-HMAC-SHA256', given.time, scope, sha256(canonical)].join('\n')
  const key = [date, region, service, 'aws4_request'].reduce<Buffer | string>(
    (key, part) => createHmac('sha256', key).update(part).digest(),
    `AWS4${secret}`,
  )
  const expected = createHmac('sha256', key).update(text).digest()
  const signature = Buffer.from(given.signature, 'hex')
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
    return 'SignatureDoesNotMatch'
  }
  return bodyFault(request, payload)
}

/** The region that a request is signed for. */
export function signedRegion({ url, headers }: Pick<SignedRequest, 'url' | 'headers'>): string {
  const inQuery = /X-Amz-Credential=([^&]+)/.exec(url)?.[1]
  const credential = inQuery
    ? decodeURIComponent(inQuery)
    : readHeader(headers.authorization).credential
  return credential.split('/')[2] ?? ''
}

function bodyFault({ headers, body }: SignedRequest, payload: string): string | undefined {
  if (payload !== 'UNSIGNED-PAYLOAD' && payload !== sha256(body)) return 'XAmzContentSHA256Mismatch'
  const md5 = headers['content-md5']
  if (md5 === undefined) return undefined
  return createHash('md5').update(body).digest('base64') === md5 ? undefined : 'BadDigest'
}

function readHeader(authorization = '') {
  const part = (name: string) => new RegExp(`${name}=([^,\\s]+)`).exec(authorization)?.[1] ?? ''
  return {
    credential: part('Credential'),
    signedHeaders: part('SignedHeaders'),
    signature: part('Signature'),
  }
}

function nameAndValue(param: string): [name: string, value: string] {
  const at = param.indexOf('=')
  return at < 0 ? [param, ''] : [param.slice(0, at), param.slice(at + 1)]
}

function isOver(time: string, seconds: number): boolean {
  const iso = time.replace(/^(\d{4})(\d\d)(\d\dT\d\d)(\d\d)(\d\dZ)$/, '$1-$2-$3:$4:$5')
  return !(Date.parse(iso) + seconds * 1000 > Date.now())
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex')
}
