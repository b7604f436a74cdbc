import { createHmac } from 'node:crypto'
import { isSame } from '../auth/sigv4.ts'

const LIFETIME_MS = 12 * 3600 * 1000

/** What ECR's GetAuthorizationToken gives. */
export interface RegistryToken {
  /** Base64 of `AWS:<password>`. */
  authorizationToken: string
  expiresMs: number
}

/** Makes a token that is good for twelve hours, as ECR's are. */
export function createRegistryToken(secret: string, nowMs = Date.now()): RegistryToken {
  const expiresMs = nowMs + LIFETIME_MS
  const password = `${expiresMs}.${sign(secret, expiresMs)}`
  return { authorizationToken: Buffer.from(`AWS:${password}`).toString('base64'), expiresMs }
}

/** Whether an `Authorization` header (Basic as `docker login` sends it, or Bearer) is good. */
export function isRegistryAuthorization(
  header: string | undefined,
  secret: string,
  nowMs = Date.now(),
): boolean {
  const [, scheme = '', value = ''] = /^(Basic|Bearer)\s+(\S+)$/i.exec(header ?? '') ?? []
  if (value === '') return false
  const decoded = Buffer.from(value, 'base64').toString('utf8')
  const isPassword = scheme.toLowerCase() === 'bearer' && !decoded.startsWith('AWS:')
  const password = isPassword ? value : decoded.replace(/^AWS:/, '')
  const [expires = '', signature = ''] = password.split('.')
  return isSame(signature, sign(secret, expires)) && Number(expires) > nowMs
}

function sign(secret: string, expires: number | string): string {
  return createHmac('sha256', secret).update(`registry/${expires}`).digest('base64url')
}
