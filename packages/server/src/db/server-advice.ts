import { ConnectionLost } from './pooled-driver.ts'
import { describeAddress, type ServerAddress } from './server-address.ts'

/** The code of a driver's error, or ''. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** What the text of an error tells where its code does not, most particular first. */
const BY_TEXT: [text: RegExp, advice: string][] = [
  [/no pg_hba\.conf entry.*(no encryption|SSL off)/, 'the server wants TLS: add ?sslmode=require.'],
  [/no pg_hba\.conf entry/, 'the server lets nobody in from here as this user (pg_hba.conf).'],
  [
    /valid client certificate/,
    'the server wants a certificate of the client: add sslcert and sslkey.',
  ],
  [/insecure transport/, 'the server wants TLS: add ?ssl_ca=<file>, or ?sslmode=require.'],
  [
    /Unknown collation/,
    'this version is too old: MySQL 8.0.17, MariaDB 10.6 and PostgreSQL 13 are the first that will do.',
  ],
  [/does not support S(SL|ecure)/i, 'the server offers no TLS, and sslmode asks for it.'],
  [/certificate has expired/, "the server's certificate has expired."],
  [
    /certificate is not yet valid/,
    "the server's certificate is not valid yet. Is the clock right?",
  ],
  [
    /altnames/,
    "the server's certificate is for another host name. Name the host as the certificate does, or use sslmode=verify-ca.",
  ],
  [
    /self.signed certificate|unable to (verify|get)|unknown ca\b/i,
    "the server's certificate is signed by none of the authorities that sslrootcert (ssl_ca) names.",
  ],
  [/alert (certificate|bad certificate|handshake)/, "the server refuses the client's certificate."],
]

/** What to do about a server that does not let us in. The password is in no message. */
export function toAdvice(error: unknown, address: ServerAddress): unknown {
  const cause = error instanceof ConnectionLost ? error.cause : error
  const code = codeOf(cause)
  const text = cause instanceof Error ? cause.message : ''
  const where = describeAddress(address)
  const said = (advice: string) => new Error(`${where}: ${advice}`, { cause })
  const [, told] = BY_TEXT.find(([pattern]) => pattern.test(text)) ?? []
  if (told !== undefined) return said(told)
  if (code.startsWith('28') || code === 'ER_ACCESS_DENIED_ERROR') {
    return said(`the server refuses user '${address.user}' with this password.`)
  }
  if (code === '3D000' || code === 'ER_BAD_DB_ERROR') {
    return said(`there is no database '${address.database}' on the server. Create it first.`)
  }
  if (
    code === '42501' ||
    code === 'ER_DBACCESS_DENIED_ERROR' ||
    code === 'ER_TABLEACCESS_DENIED_ERROR'
  ) {
    return said(`user '${address.user}' may not use or create tables in this database.`)
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return said('there is no host of that name.')
  if (code === 'ECONNREFUSED') return said('nothing answers there. Is the server running?')
  if (/CERT|SELF_SIGNED|TLS|SSL/.test(code)) {
    return said(`the TLS connection was not trusted (${code}). Check sslmode and sslrootcert.`)
  }
  if (error instanceof ConnectionLost)
    return said(`the server cannot be reached (${code || text}).`)
  return error
}
