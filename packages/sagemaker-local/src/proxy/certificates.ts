import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto'
import { der } from './der.ts'

/** A key with the certificate that says whose it is. */
export interface Identity {
  key: KeyObject
  /** In PEM. */
  certificate: string
}

const DAY_MS = 24 * 3600 * 1000
// Clocks of the machine's containers differ, and a certificate of tomorrow is none.
const BEFORE_MS = DAY_MS
const AUTHORITY_MS = 10 * 365 * DAY_MS
/** What clients take at most, and far longer than a control plane runs. */
const SERVER_MS = 300 * DAY_MS

const ECDSA_SHA256 = der.sequence(der.objectId('1.2.840.10045.4.3.2'))
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1'

/**
 * A certificate authority that may vouch for hosts below `domains` and for nothing else: whoever
 * gets its key cannot pass for other sites with those who trust it.
 */
export function createAuthority(domains: string[], nowMs = Date.now()): Identity {
  const key = createKey()
  const permitted = domains.map((domain) => der.sequence(der.implicit(2, Buffer.from(domain))))
  const certificate = issue({
    issuer: { name: authorityName(key), key },
    name: authorityName(key),
    key,
    nowMs,
    lastsMs: AUTHORITY_MS,
    extensions: [
      extension('2.5.29.19', der.sequence(der.true(), der.integer(Buffer.of(0))), true),
      // keyCertSign and cRLSign
      extension('2.5.29.15', der.bits(Buffer.of(0x06), 1), true),
      extension('2.5.29.30', der.sequence(der.explicit(0, ...permitted)), true),
    ],
  })
  return { key, certificate }
}

/** An identity of a host that clients believe who trust the authority. */
export function createServerIdentity(
  authority: Identity,
  host: string,
  nowMs = Date.now(),
): Identity {
  const key = createKey()
  const certificate = issue({
    issuer: { name: authorityName(authority.key), key: authority.key },
    name: 'Millrace local control plane',
    key,
    nowMs,
    lastsMs: SERVER_MS,
    extensions: [
      // digitalSignature
      extension('2.5.29.15', der.bits(Buffer.of(0x80), 7), true),
      extension('2.5.29.37', der.sequence(der.objectId(SERVER_AUTHENTICATION))),
      extension('2.5.29.17', der.sequence(der.implicit(2, Buffer.from(host)))),
    ],
  })
  return { key, certificate }
}

interface Issue {
  issuer: { name: string; key: KeyObject }
  name: string
  key: KeyObject
  nowMs: number
  lastsMs: number
  extensions: Buffer[]
}

function issue({ issuer, name, key, nowMs, lastsMs, extensions }: Issue): string {
  const body = der.sequence(
    // Version 3
    der.explicit(0, der.integer(Buffer.of(2))),
    der.integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
    ECDSA_SHA256,
    commonName(issuer.name),
    der.sequence(der.time(nowMs - BEFORE_MS), der.time(nowMs + lastsMs)),
    commonName(name),
    publicKeyOf(key),
    der.explicit(
      3,
      der.sequence(
        extension('2.5.29.14', der.octets(keyId(key))),
        extension('2.5.29.35', der.sequence(der.implicit(0, keyId(issuer.key)))),
        ...extensions,
      ),
    ),
  )
  const signature = sign('sha256', body, issuer.key)
  return pem(der.sequence(body, ECDSA_SHA256, der.bits(signature)))
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return der.sequence(der.objectId(id), ...(isCritical ? [der.true()] : []), der.octets(value))
}

function commonName(name: string): Buffer {
  return der.sequence(der.set(der.sequence(der.objectId('2.5.4.3'), der.text(name))))
}

/** Two authorities must not have one name: clients would try the wrong key. */
function authorityName(key: KeyObject): string {
  return `Millrace local authority ${keyId(key).toString('hex').slice(0, 8)}`
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1').update(publicKeyOf(key)).digest()
}

function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' })
}

function createKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
}
