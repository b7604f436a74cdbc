import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import {
  canonicalRequest,
  headerValue,
  queryValue,
  rawQuery,
  type SignedRequest,
} from './canonical-request.ts'
import { SigV4Error } from './sigv4-error.ts'

/** What an access key id stands for. */
export interface SigningKey {
  secretAccessKey: string
  /** Of temporary credentials: requests must bring the same. */
  sessionToken?: string
}

/** Looks a key up; undefined when there is none of this id. */
export type FindSigningKey = (accessKeyId: string) => SigningKey | undefined

/** The scope of a signature: who signed, when, and for which service. */
export interface SignatureScope {
  accessKeyId: string
  /** `YYYYMMDD` */
  date: string
  region: string
  service: string
}

export interface VerifySigV4 {
  findKey: FindSigningKey
  /**
   * SHA-256 of the body in hex. Services with whole bodies give it; S3 leaves it out, and checks the
   * bytes against `payload` while they arrive.
   */
  bodySha256?: string
  /** 15 minutes unless given, S3's; other services allow five. */
  clockSkewMaxMs?: number
  nowMs?: number
}

/** A signature that matched, with what the signatures of chunks go on from. */
export interface VerifiedSignature {
  scope: SignatureScope
  signature: string
  /** `YYYYMMDDTHHMMSSZ` */
  signedAt: string
  /** SHA-256 of the body in hex, `UNSIGNED-PAYLOAD`, or the name of a form of streaming. */
  payload: string
  signingKey: Buffer
}

const ALGORITHM = 'AWS4-HMAC-SHA256'
const SKEW_MAX_MS = 15 * 60 * 1000
const EXPIRES_MAX_SECONDS = 7 * 24 * 3600

/**
 * Checks the SigV4 signature of a request, in its `Authorization` header or presigned in its query,
 * for any service. Throws `SigV4Error` for a request that is not signed or not rightly.
 */
export function verifySigV4(request: SignedRequest, options: VerifySigV4): VerifiedSignature {
  const nowMs = options.nowMs ?? Date.now()
  const claim = claimOf(request)
  if (!claim) throw new SigV4Error('AccessDenied', 'Access Denied')
  checkTime(claim, options.clockSkewMaxMs ?? SKEW_MAX_MS, nowMs)
  const isS3 = claim.scope.service === 's3'
  const payload = payloadOf(request, claim, options.bodySha256)
  checkSignedHeaders(request, claim, isS3)

  const { accessKeyId, date, region, service } = claim.scope
  const key = options.findKey(accessKeyId)
  if (!key) {
    throw new SigV4Error(
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
      { AWSAccessKeyId: accessKeyId },
    )
  }
  checkToken(key, claim.token)

  const canonical = canonicalRequest(request, { signedHeaders: claim.signedHeaders, payload, isS3 })
  const text = [ALGORITHM, claim.signedAt, `${date}/${region}/${service}/aws4_request`]
  const stringToSign = [...text, sha256(canonical)].join('\n')
  const signingKey = signingKeyOf(key.secretAccessKey, claim.scope)
  if (!isSame(hmac(signingKey, stringToSign).toString('hex'), claim.signature)) {
    throw new SigV4Error(
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
      {
        AWSAccessKeyId: accessKeyId,
        StringToSign: stringToSign,
        SignatureProvided: claim.signature,
        CanonicalRequest: canonical,
      },
    )
  }
  return {
    scope: claim.scope,
    signature: claim.signature,
    signedAt: claim.signedAt,
    payload,
    signingKey,
  }
}

/** The scope that a request claims, checked by nobody; undefined when it is not signed. */
export function claimedScope(request: SignedRequest): SignatureScope | undefined {
  return claimOf(request)?.scope
}

/**
 * Whether a presigned address is past its time, for those who check no signatures; throws
 * `SigV4Error` when it is.
 */
export function checkPresignedTime(request: SignedRequest, nowMs = Date.now()): void {
  if (queryValue(request.url, 'X-Amz-Signature') === undefined) return
  const claim = claimOf(request)
  if (claim) checkTime(claim, SKEW_MAX_MS, nowMs)
}

/** Compares two texts in a time that does not tell how much of them is the same. */
export function isSame(left: string, right: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(left), digest(right))
}

/** HMAC-SHA256. */
export function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

interface Claim {
  scope: SignatureScope
  signature: string
  signedHeaders: string[]
  signedAt: string
  token: string | undefined
  /** Of a presigned address. */
  expiresSeconds?: number
}

function claimOf(request: SignedRequest): Claim | undefined {
  const authorization = headerValue(request, 'authorization')
  if (authorization !== undefined) return headerClaim(request, authorization)
  const query = new Map(rawQuery(request.url))
  return query.has('X-Amz-Algorithm') || query.has('X-Amz-Credential')
    ? queryClaim(query)
    : undefined
}

function headerClaim(request: SignedRequest, authorization: string): Claim {
  const [algorithm = '', ...rest] = authorization.trim().split(/\s+/)
  if (algorithm !== ALGORITHM) {
    throw malformed(`The authorization mechanism '${algorithm}' is not ${ALGORITHM}.`)
  }
  const fields = new Map(
    rest
      .join('')
      .split(',')
      .map((field) => {
        const equals = field.indexOf('=')
        return [field.slice(0, equals), field.slice(equals + 1)]
      }),
  )
  const [credential, signed, signature] = ['Credential', 'SignedHeaders', 'Signature'].map(
    (name) => {
      const value = fields.get(name)
      if (!value) throw malformed(`The authorization header has no ${name}.`)
      return value
    },
  ) as [string, string, string]
  const signedAt = headerValue(request, 'x-amz-date') ?? dateHeader(request)
  if (signedAt === undefined) {
    throw new SigV4Error(
      'AccessDenied',
      'AWS authentication requires a valid Date or x-amz-date header',
    )
  }
  return {
    scope: parseCredential(credential, malformed),
    signature,
    signedHeaders: signed.split(';'),
    signedAt,
    token: headerValue(request, 'x-amz-security-token'),
  }
}

function queryClaim(query: Map<string, string>): Claim {
  const required = (name: string) => {
    const value = query.get(name)
    if (!value) {
      throw badQuery(
        'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
      )
    }
    return value
  }
  if (required('X-Amz-Algorithm') !== ALGORITHM) {
    throw badQuery(`X-Amz-Algorithm only supports "${ALGORITHM}"`)
  }
  const expiresSeconds = Number(required('X-Amz-Expires'))
  if (!Number.isInteger(expiresSeconds)) throw badQuery('X-Amz-Expires should be a number')
  if (expiresSeconds < 0) throw badQuery('X-Amz-Expires must be non-negative')
  if (expiresSeconds > EXPIRES_MAX_SECONDS) {
    throw badQuery('X-Amz-Expires must be less than a week (in seconds) that is 604800')
  }
  return {
    scope: parseCredential(required('X-Amz-Credential'), badQuery),
    signature: required('X-Amz-Signature'),
    signedHeaders: required('X-Amz-SignedHeaders').split(';'),
    signedAt: required('X-Amz-Date'),
    token: query.get('X-Amz-Security-Token'),
    expiresSeconds,
  }
}

/** The scope of a `Credential`; what is none is refused with the error that is made of a message. */
export function parseCredential(
  credential: string,
  refuse: (message: string) => SigV4Error,
): SignatureScope {
  // A key id of ours may hold a slash, so the fields are counted from the end.
  const fields = credential.split('/')
  const [date = '', region = '', service = '', end] = fields.slice(-4)
  const accessKeyId = fields.slice(0, -4).join('/')
  const isWhole = accessKeyId !== '' && region !== '' && service !== '' && end === 'aws4_request'
  if (!isWhole || !/^\d{8}$/.test(date)) {
    throw refuse(
      `The Credential '${credential}' is not <key id>/YYYYMMDD/<region>/<service>/aws4_request.`,
    )
  }
  return { accessKeyId, date, region, service }
}

function checkTime(claim: Claim, skewMaxMs: number, nowMs: number): void {
  const signedMs = timeOf(claim.signedAt)
  const refuse = claim.expiresSeconds === undefined ? malformed : badQuery
  if (signedMs === undefined) {
    throw refuse('X-Amz-Date must be formatted via ISO8601 Long format, YYYYMMDDTHHMMSSZ.')
  }
  if (!claim.signedAt.startsWith(claim.scope.date)) {
    throw refuse(
      `Invalid credential date '${claim.scope.date}'. It is not the date of '${claim.signedAt}'.`,
    )
  }
  const times = { ServerTime: new Date(nowMs).toISOString() }
  if (claim.expiresSeconds === undefined) {
    if (Math.abs(nowMs - signedMs) <= skewMaxMs) return
    throw new SigV4Error(
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
      { RequestTime: claim.signedAt, ...times, MaxAllowedSkewMilliseconds: String(skewMaxMs) },
    )
  }
  if (signedMs > nowMs + skewMaxMs) {
    throw new SigV4Error('AccessDenied', 'Request is not valid yet', times)
  }
  const endsMs = signedMs + claim.expiresSeconds * 1000
  if (endsMs < nowMs) {
    const Expires = new Date(endsMs).toISOString()
    const seconds = String(claim.expiresSeconds)
    throw new SigV4Error('AccessDenied', 'Request has expired', {
      'X-Amz-Expires': seconds,
      Expires,
      ...times,
    })
  }
}

function payloadOf(
  request: SignedRequest,
  { scope, expiresSeconds }: Claim,
  bodySha256: string | undefined,
): string {
  const said = headerValue(request, 'x-amz-content-sha256')
  if (scope.service !== 's3') {
    if (bodySha256 !== undefined && said !== undefined && /^[0-9a-f]{64}$/.test(said)) {
      if (said !== bodySha256) throw otherBody(said, bodySha256)
    }
    return said ?? bodySha256 ?? 'UNSIGNED-PAYLOAD'
  }
  if (expiresSeconds !== undefined) return said ?? 'UNSIGNED-PAYLOAD'
  if (said === undefined) {
    throw new SigV4Error(
      'InvalidRequest',
      'Missing required header for this request: x-amz-content-sha256',
    )
  }
  return said
}

/** The refusal of a body whose SHA-256 is not the one that was signed. */
export function otherBody(said: string, computed: string): SigV4Error {
  return new SigV4Error(
    'XAmzContentSHA256Mismatch',
    "The provided 'x-amz-content-sha256' header does not match what was computed.",
    { ClientComputedContentSHA256: said, S3ComputedContentSHA256: computed },
  )
}

/** A header that changes what is done must be signed, or whoever sees the request could add one. */
function checkSignedHeaders(request: SignedRequest, claim: Claim, isS3: boolean): void {
  const { signedHeaders } = claim
  const needed = Object.keys(request.headers).filter(
    (name) =>
      name === 'host' ||
      (isS3 && name.startsWith('x-amz-') && name !== 'x-amz-content-sha256') ||
      (isS3 && name === 'content-md5' && claim.expiresSeconds === undefined),
  )
  const missing = needed.filter((name) => !signedHeaders.includes(name))
  if (missing.length === 0) return
  throw new SigV4Error(
    'AccessDenied',
    'There were headers present in the request which were not signed',
    { HeadersNotSigned: missing.join(', ') },
  )
}

function checkToken(key: SigningKey, token: string | undefined): void {
  if (key.sessionToken === undefined && token === undefined) return
  if (isSame(`${key.sessionToken}`, `${token}`) && key.sessionToken !== undefined) return
  throw new SigV4Error('InvalidToken', 'The provided token is malformed or otherwise invalid.')
}

/** The key that signs within a scope. */
export function signingKeyOf(secret: string, { date, region, service }: SignatureScope): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request')
}

/** Milliseconds of `YYYYMMDDTHHMMSSZ`, or undefined. */
function timeOf(signedAt: string): number | undefined {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(signedAt) ?? []
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(ms) ? undefined : ms
}

function dateHeader(request: SignedRequest): string | undefined {
  const ms = Date.parse(headerValue(request, 'date') ?? '')
  if (Number.isNaN(ms)) return undefined
  return new Date(ms).toISOString().replace(/\.\d+|[-:]/g, '')
}

function malformed(message: string): SigV4Error {
  return new SigV4Error('AuthorizationHeaderMalformed', message)
}

function badQuery(message: string): SigV4Error {
  return new SigV4Error('AuthorizationQueryParametersError', message)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
