import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { AccessKey } from '../plane-settings.ts'
import type { FindSigningKey, SigningKey } from './sigv4.ts'
import { SigV4Error } from './sigv4-error.ts'

/** What STS hands out: a key of its own with an end. */
export interface SessionCredentials extends Required<SigningKey> {
  accessKeyId: string
}

const SESSION_ID = /^ASIA([0-9A-F]{8})([0-9A-F]{8})[0-9A-F]{12}$/

/**
 * Credentials of a session of a key. Nothing is kept: the id says when they end and whose they are,
 * and the secret follows from the id and the key's own secret, so that only who has that can make
 * them. They end early when the key is taken away.
 */
export function createSession(key: AccessKey, expiresMs: number): SessionCredentials {
  const expires = Math.floor(expiresMs / 1000).toString(16)
  const random = randomBytes(6).toString('hex')
  const accessKeyId = `ASIA${expires.padStart(8, '0')}${keyMark(key)}${random}`.toUpperCase()
  return { accessKeyId, ...secretsOf(key, accessKeyId) }
}

/** The key that a session was made from; undefined for what is no session of these keys. */
export function keyOfSession(keys: AccessKey[], accessKeyId: string): AccessKey | undefined {
  const mark = SESSION_ID.exec(accessKeyId)?.[2]?.toLowerCase()
  return mark === undefined ? undefined : keys.find((key) => keyMark(key) === mark)
}

/**
 * Finds the secrets of keys and of their sessions; those of a session that is over throw
 * `SigV4Error` (`ExpiredToken`).
 */
export function findKey(keys: AccessKey[], nowMs: () => number = Date.now): FindSigningKey {
  return (accessKeyId) => {
    const own = keys.find((key) => key.accessKeyId === accessKeyId)
    if (own) return { secretAccessKey: own.secretAccessKey }
    const parent = keyOfSession(keys, accessKeyId)
    if (!parent) return undefined
    const expiresMs = Number.parseInt(SESSION_ID.exec(accessKeyId)?.[1] ?? '0', 16) * 1000
    if (expiresMs <= nowMs()) {
      throw new SigV4Error('ExpiredToken', 'The provided token has expired.')
    }
    return secretsOf(parent, accessKeyId)
  }
}

function secretsOf(key: AccessKey, accessKeyId: string): Required<SigningKey> {
  const derived = (purpose: string) =>
    createHmac('sha256', key.secretAccessKey)
      .update(`session/${purpose}/${accessKeyId}`)
      .digest('base64')
  return { secretAccessKey: derived('secret'), sessionToken: derived('token') }
}

function keyMark({ accessKeyId }: AccessKey): string {
  return createHash('sha256').update(accessKeyId).digest('hex').slice(0, 8)
}
