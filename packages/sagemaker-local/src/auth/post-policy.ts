import { createHmac } from 'node:crypto'
import { type FindSigningKey, hmac, isSame, parseCredential, signingKeyOf } from './sigv4.ts'
import { SigV4Error } from './sigv4-error.ts'

/** What a policy lets a form upload. */
export interface PostPolicy {
  minBytes: number
  maxBytes: number
}

// What proves a form or carries its file is not itself what a policy speaks of.
const EXEMPT = /^(policy|signature|awsaccesskeyid|x-amz-signature|file|bucket|x-ignore-.*)$/

/**
 * Checks the policy of a form that uploads to S3: its signature (SigV4, or SigV2 as boto3 makes them
 * unless told otherwise) where there are keys, its end, and that it allows every field. Throws
 * `SigV4Error`, as S3 does, with the condition that failed.
 */
export function verifyPostPolicy(
  fields: ReadonlyMap<string, string>,
  { findKey, nowMs = Date.now() }: { findKey?: FindSigningKey; nowMs?: number },
): PostPolicy {
  const policy = fields.get('policy')
  if (findKey) verifyPolicySignature(fields, policy, findKey)
  if (policy === undefined) return { minBytes: 0, maxBytes: Infinity }
  const { expiration, conditions } = parsePolicy(policy)
  if (!(Date.parse(expiration) >= nowMs)) throw denied('Policy expired.')

  const limits: PostPolicy = { minBytes: 0, maxBytes: Infinity }
  const allowed = new Set<string>()
  for (const condition of conditions) {
    const [operator, name, value] = tripleOf(condition)
    if (operator === 'content-length-range') {
      limits.minBytes = Number(name)
      limits.maxBytes = Number(value)
      continue
    }
    allowed.add(name)
    const actual = fields.get(name) ?? ''
    const stands = operator === 'starts-with' ? actual.startsWith(value) : actual === value
    if (!stands) throw denied(`Policy Condition failed: ${JSON.stringify(condition)}`)
  }
  const extra = [...fields.keys()].find((name) => !EXEMPT.test(name) && !allowed.has(name))
  if (extra !== undefined) throw denied(`Extra input fields: ${extra}`)
  return limits
}

function verifyPolicySignature(
  fields: ReadonlyMap<string, string>,
  policy: string | undefined,
  findKey: FindSigningKey,
): void {
  if (policy === undefined) throw new SigV4Error('AccessDenied', 'Access Denied')
  const credential = fields.get('x-amz-credential')
  const scope =
    credential === undefined
      ? undefined
      : parseCredential(
          credential,
          (message) => new SigV4Error('AuthorizationHeaderMalformed', message),
        )
  const accessKeyId = scope?.accessKeyId ?? fields.get('awsaccesskeyid') ?? ''
  const key = findKey(accessKeyId)
  if (!key) {
    throw new SigV4Error(
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
      { AWSAccessKeyId: accessKeyId },
    )
  }
  if (key.sessionToken !== fields.get('x-amz-security-token')) {
    throw new SigV4Error('InvalidToken', 'The provided token is malformed or otherwise invalid.')
  }
  const expected = scope
    ? hmac(signingKeyOf(key.secretAccessKey, scope), policy).toString('hex')
    : createHmac('sha1', key.secretAccessKey).update(policy).digest('base64')
  const given = fields.get(scope ? 'x-amz-signature' : 'signature') ?? ''
  if (isSame(expected, given)) return
  throw new SigV4Error(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    { AWSAccessKeyId: accessKeyId, StringToSign: policy, SignatureProvided: given },
  )
}

function parsePolicy(text: string): { expiration: string; conditions: unknown[] } {
  try {
    const { expiration, conditions } = JSON.parse(
      Buffer.from(text, 'base64').toString('utf8'),
    ) as Record<string, unknown>
    if (typeof expiration === 'string' && Array.isArray(conditions))
      return { expiration, conditions }
  } catch {
    // Not JSON: refused like a policy with the wrong members.
  }
  throw new SigV4Error('InvalidRequest', 'Invalid Policy: Invalid JSON.')
}

/** A condition as operator, name of a field in lower case, and value. */
function tripleOf(condition: unknown): [operator: string, name: string, value: string] {
  if (Array.isArray(condition)) {
    const [operator = '', name = '', value = ''] = condition.map(String)
    const isKnown = /^(eq|starts-with|content-length-range)$/i.test(operator)
    if (!isKnown) throw denied(`Policy Condition failed: ${JSON.stringify(condition)}`)
    return [operator.toLowerCase(), name.replace(/^\$/, '').toLowerCase(), value]
  }
  const [[name, value] = ['', '']] = Object.entries(Object(condition) as Record<string, unknown>)
  return ['eq', name.toLowerCase(), String(value)]
}

function denied(reason: string): SigV4Error {
  return new SigV4Error('AccessDenied', `Invalid according to Policy: ${reason}`)
}
