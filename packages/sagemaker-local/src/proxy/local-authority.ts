import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAuthority, type Identity } from './certificates.ts'

const DOMAINS = ['amazonaws.com', 'amazonaws.com.cn']
const RENEWED_BEFORE_MS = 366 * 24 * 3600 * 1000

/**
 * The certificate authority of a data directory, made when it is first asked for: `authority.pem`
 * holds its key and its certificate, for its owner alone.
 */
export function openLocalAuthority(directory: string): Identity {
  const file = join(directory, 'authority.pem')
  if (existsSync(file)) {
    const text = readFileSync(file, 'utf8')
    const certificate = text.slice(text.indexOf('-----BEGIN CERTIFICATE-----'))
    const endsMs = Date.parse(new X509Certificate(certificate).validTo)
    if (endsMs > Date.now() + RENEWED_BEFORE_MS) return { key: createPrivateKey(text), certificate }
  }
  const authority = createAuthority(DOMAINS)
  const key = authority.key.export({ type: 'pkcs8', format: 'pem' })
  const partial = `${file}.partial`
  writeFileSync(partial, `${key}${authority.certificate}`, { mode: 0o600, flush: true })
  renameSync(partial, file)
  return authority
}
