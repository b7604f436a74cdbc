import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseServerUri } from '../src/db/server-address.ts'
import { connect } from '../src/db/server-database.ts'
import { withDatabase } from '../src/upkeep/open-database.ts'
import {
  administer,
  createDatabase,
  type DatabaseServer,
  ownerOf,
  startDatabaseServer,
} from './database-servers.ts'
import { testDatabase } from './shared-database.ts'

let folder: string
let server: DatabaseServer
const at = (name: string) => join(folder, name)

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

function makeAuthority(name: string): void {
  const subject = ['-subj', `/CN=${name}`, '-days', '3650']
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, ...into(name))
}

const into = (name: string) => ['-keyout', `${name}.key`, '-out', `${name}.crt`]

interface Certificate {
  signer?: string
  subject?: string
  altName?: string
  /** As `openssl ca` writes it. */
  until?: string
}

function makeCertificate(name: string, options: Certificate = {}): void {
  const { signer = 'authority', subject = name, altName = 'DNS:localhost', until } = options
  openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${subject}`, ...keyAndRequest(name))
  writeFileSync(at('index.txt'), '')
  writeFileSync(at('index.txt.attr'), 'unique_subject = no\n')
  writeFileSync(
    at('ca.cnf'),
    [
      '[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\nnew_certs_dir = .\nrand_serial = yes',
      'default_md = sha256\npolicy = any\nx509_extensions = names\n[any]\ncommonName = supplied',
      `[names]\nsubjectAltName = ${altName}`,
    ].join('\n'),
  )
  const dates = ['-startdate', '20200101000000Z', '-enddate', until ?? '20490101000000Z']
  const by = ['-cert', `${signer}.crt`, '-keyfile', `${signer}.key`]
  const files = ['-in', `${name}.csr`, '-out', `${name}.crt`]
  openssl('ca', '-batch', '-notext', '-config', 'ca.cnf', ...by, ...dates, ...files)
}

const keyAndRequest = (name: string) => ['-keyout', `${name}.key`, '-out', `${name}.csr`]

/** Has the server show another certificate from its next start. */
async function showCertificate(name: string): Promise<void> {
  await server.kill()
  putCertificate(name)
  await server.restart()
}

/** The key must belong to whom the server runs as. */
function putCertificate(name: string): void {
  for (const suffix of ['crt', 'key']) copyFileSync(at(`${name}.${suffix}`), at(`server.${suffix}`))
  chmodSync(at('server.key'), 0o600)
  const owner = testDatabase === 'postgresql' ? ownerOf(testDatabase) : undefined
  if (owner !== undefined) chownSync(at('server.key'), owner, owner)
}

// A database in a file has no network before it.
const onServers = testDatabase === 'sqlite' ? [] : [testDatabase]
test.each(onServers.length === 0 ? ['sqlite'] : [])('%s knows no sslmode', () => {
  expect(() => parseServerUri('sqlite:///a.db?sslmode=require')).toThrow('not the URI')
})

describe.each(onServers)('TLS to %s', (kind) => {
  let uri: string
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'))
    chmodSync(folder, 0o755)
    makeAuthority('authority')
    makeAuthority('stranger')
    makeCertificate('good')
    makeCertificate('elsewhere', { altName: 'DNS:db.example.com' })
    makeCertificate('expired', { until: '20200201000000Z' })
    makeCertificate('client', { subject: 'ada' })
    putCertificate('good')
    const started = await startDatabaseServer(kind, { args: tlsArguments(kind) })
    if (started === undefined) throw new Error(`${kind} is not installed`)
    server = started
    uri = (await createDatabase(server.adminUri)).replace('127.0.0.1', 'localhost')
  })
  afterAll(async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  /** Whether the connection that a URI makes is encrypted. */
  async function isEncrypted(text: string): Promise<boolean> {
    const address = parseServerUri(text)
    const config = { kind: 'server' as const, address, connectionsMax: 4, pendingWritesMax: 1 }
    return withDatabase(config, 'create', async (db) => {
      if (kind === 'postgresql') {
        const { rows } = await sql<{ ssl: boolean }>`
          select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(db)
        return rows[0]?.ssl ?? false
      }
      const { rows } = await sql<{ Value: string }>`show status like 'Ssl_cipher'`.execute(db)
      return (rows[0]?.Value ?? '') !== ''
    })
  }
  const root = () => `sslrootcert=${at('authority.crt')}`

  test('is as much as is asked for', async () => {
    expect(await isEncrypted(`${uri}?sslmode=disable`)).toBe(false)
    expect(await isEncrypted(`${uri}?sslmode=require`)).toBe(true)
    expect(await isEncrypted(`${uri}?sslmode=verify-ca&${root()}`)).toBe(true)
    expect(await isEncrypted(`${uri}?sslmode=verify-full&${root()}`)).toBe(true)
    expect(await isEncrypted(`${uri}?ssl_ca=${at('authority.crt')}`)).toBe(true)
    expect(await isEncrypted(`${uri}?ssl-mode=REQUIRED`)).toBe(true)
    // As libpq and PyMySQL do it when nobody says anything.
    expect(await isEncrypted(uri)).toBe(kind === 'postgresql')
  })

  test('to a server that nobody vouches for is refused, in a sentence', async () => {
    const unknown = 'signed by none of the authorities'
    await expect(isEncrypted(`${uri}?sslmode=verify-full`)).rejects.toThrow(unknown)
    const stranger = `sslrootcert=${at('stranger.crt')}`
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      await expect(isEncrypted(`${uri}?sslmode=${mode}&${stranger}`)).rejects.toThrow(unknown)
    }
  })

  test('that fails later is answered 503, as any database that is away', async () => {
    const db = await connect(parseServerUri(`${uri}?sslmode=verify-full`), 1)
    const asked = sql`select 1`.execute(db)
    await expect(asked).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE' })
    await db.destroy()
  })

  test('with a certificate of another host, or of another time, is refused', async () => {
    await showCertificate('elsewhere')
    await expect(isEncrypted(`${uri}?sslmode=verify-full&${root()}`)).rejects.toThrow(
      'for another host name',
    )
    expect(await isEncrypted(`${uri}?sslmode=verify-ca&${root()}`)).toBe(true)

    await showCertificate('expired')
    await expect(isEncrypted(`${uri}?sslmode=verify-ca&${root()}`)).rejects.toThrow('has expired')
    expect(await isEncrypted(`${uri}?sslmode=require`)).toBe(true)
    await showCertificate('good')
  })

  test('and a password of any characters, which a user gives who must use TLS', async () => {
    const password = `a'b"c\\d@e:f/g?h#i%j k&l=m+n[o]p;q$r\`s{t}|u<v>ü€漢`
    const quoted = password.replaceAll("'", "''")
    const escaped = kind === 'mariadb' ? quoted.replaceAll('\\', '\\\\') : quoted
    const own = (await createDatabase(server.adminUri)).replace('127.0.0.1', 'localhost')
    const database = new URL(own).pathname.slice(1)
    for (const statement of userStatements(kind, escaped, database)) {
      await administer(server.adminUri, statement)
    }
    const place = own.slice(own.indexOf('@'))
    const scheme = kind === 'postgresql' ? 'postgresql' : 'mysql+pymysql'
    const encoded = `${scheme}://ada:${encodeURIComponent(password)}${place}`
    const asTyped = `${scheme}://ada:${password.replaceAll('%', '%25')}${place}`

    await expect(isEncrypted(`${encoded}?sslmode=require`)).rejects.toThrow(
      kind === 'postgresql' ? 'wants a certificate of the client' : "refuses user 'ada'",
    )
    await expect(isEncrypted(`${encoded}?sslmode=disable`)).rejects.toThrow(
      kind === 'postgresql' ? 'the server wants TLS' : "refuses user 'ada'",
    )
    const client = `sslcert=${at('client.crt')}&sslkey=${at('client.key')}`
    for (const login of [encoded, asTyped]) {
      expect(await isEncrypted(`${login}?sslmode=verify-full&${root()}&${client}`)).toBe(true)
    }
    const wrong = encoded.replace('ada:', 'ada:x')
    await expect(isEncrypted(`${wrong}?sslmode=require&${client}`)).rejects.toThrow(/refuses user/)
  })
})

function tlsArguments(kind: 'postgresql' | 'mariadb'): string[] {
  const [ca, crt, key] = ['authority.crt', 'server.crt', 'server.key'].map(at)
  if (kind === 'mariadb') return [`--ssl-ca=${ca}`, `--ssl-cert=${crt}`, `--ssl-key=${key}`]
  writeFileSync(
    at('hba.conf'),
    'host all millrace all trust\nhostssl all ada all scram-sha-256 clientcert=verify-ca\n',
  )
  const files = { ssl_ca_file: ca, ssl_cert_file: crt, ssl_key_file: key, hba_file: at('hba.conf') }
  // What PostgreSQL 13 does not do by itself.
  const settings = { ssl: 'on', password_encryption: 'scram-sha-256', ...files }
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

function userStatements(kind: string, password: string, database: string): string[] {
  if (kind === 'postgresql') {
    return [
      `create role ada login password '${password}'`,
      `alter database ${database} owner to ada`,
    ]
  }
  return [
    `create user ada@'%' identified by '${password}' require x509`,
    `grant all on ${database}.* to ada@'%'`,
  ]
}
