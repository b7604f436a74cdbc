import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'

/** A database server: where it is, who asks, and how the connection is protected. */
export interface ServerAddress {
  kind: 'postgresql' | 'mysql'
  /** A name, an address, or the directory (PostgreSQL) or file (MySQL) of a Unix socket. */
  host: string
  port: number
  user: string
  password: string | undefined
  database: string
  /** Undefined for a connection that is not encrypted; the name is checked with `verifyIdentity`. */
  tls: (ConnectionOptions & { verifyIdentity: boolean }) | undefined
  /** Encrypted, without a look at the certificate, if the server offers that, as libpq does it. */
  prefersTls?: true
  /** `-c name=value` settings of a PostgreSQL session. */
  options?: string
}

const DEFAULT_PORTS = { postgresql: 5432, mysql: 3306 }

const SCHEMES: Record<string, ServerAddress['kind']> = {
  postgres: 'postgresql',
  postgresql: 'postgresql',
  mysql: 'mysql',
  mariadb: 'mysql',
}

/** `postgresql` of `postgresql+psycopg2://…`; undefined for what is no database server. */
export function serverKindOf(uri: string): ServerAddress['kind'] | undefined {
  return SCHEMES[/^([a-z]+)(?:\+\w+)?:\/\//i.exec(uri)?.[1]?.toLowerCase() ?? '']
}

/** Host and port, database, parameters. */
const PLACE = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/

/**
 * The host begins after the last `@` that a host and a database follow: one in a password may stand
 * before it, and one in a parameter after it.
 */
function splitLogin(rest: string): { login: string; place: string } {
  for (
    let at = rest.lastIndexOf('@');
    at >= 0;
    at = at === 0 ? -1 : rest.lastIndexOf('@', at - 1)
  ) {
    const [, hosts = '', path = ''] = PLACE.exec(rest.slice(at + 1)) ?? []
    if (path !== '' && !hosts.includes('=')) {
      return { login: rest.slice(0, at), place: rest.slice(at + 1) }
    }
  }
  const last = rest.lastIndexOf('@')
  return { login: rest.slice(0, Math.max(0, last)), place: rest.slice(last + 1) }
}

/**
 * The address in a SQLAlchemy-style URI, `postgresql+psycopg2://user:password@host:port/database`.
 * A password may hold any character that is percent-encoded, and `@ : / # %` as they are, because
 * people paste them so: the host begins after the last `@`.
 *
 * @throws Error with what is wrong, never with the password
 */
export function parseServerUri(uri: string): ServerAddress {
  const kind = serverKindOf(uri)
  if (kind === undefined) throw new Error('this is not the URI of a database server')
  const rest = uri.slice(uri.indexOf('://') + 3)
  const { login, place } = splitLogin(rest)
  const [, hosts = '', path = '', query = ''] = PLACE.exec(place) ?? []
  const parameters = new URLSearchParams(query)
  const colon = login.indexOf(':')
  const user = decoded(colon === -1 ? login : login.slice(0, colon))
  const password = colon === -1 ? undefined : decoded(login.slice(colon + 1))
  const { host, port } = readHost(hosts)
  const database = decoded(path)
  if (database === '') throw new Error('it must name a database, as in …//host/database')
  const socket = parameters.get('unix_socket') ?? parameters.get('host')
  const options = parameters.get('options')
  const given = {
    host: socket ?? (host === '' ? 'localhost' : host),
    user: user || (parameters.get('user') ?? ''),
    password: password ?? parameters.get('password') ?? undefined,
  }
  if (given.user === '')
    throw new Error('it must name a user, as in …//user:password@host/database')
  return {
    kind,
    ...given,
    port: port ?? Number(parameters.get('port') ?? DEFAULT_PORTS[kind]),
    database,
    ...readTls(parameters, { kind, host: given.host }),
    ...(options !== null && kind === 'postgresql' && { options }),
  }
}

/** The parts of an address as separate settings, for secrets that come one by one. */
export interface AddressParts {
  engine: string
  host: string
  port: string
  name: string
  user: string
  password: string | undefined
  sslmode: string
}

/**
 * An address from its parts, each exactly as it is.
 *
 * @throws Error naming the part that is missing or wrong
 */
export function joinServerAddress(parts: AddressParts): ServerAddress {
  const kind = SCHEMES[parts.engine.toLowerCase()]
  if (kind === undefined) {
    throw new Error(`the engine '${parts.engine}' must be postgresql, mysql or mariadb`)
  }
  for (const part of ['host', 'name', 'user'] as const) {
    if (parts[part] === '') throw new Error(`the database's ${part} is missing`)
  }
  const port = parts.port === '' ? DEFAULT_PORTS[kind] : Number(parts.port)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(`the port '${parts.port}' is not a number from 1 to 65535`)
  }
  const query = new URLSearchParams(parts.sslmode === '' ? {} : { sslmode: parts.sslmode })
  return {
    kind,
    host: parts.host,
    port,
    user: parts.user,
    password: parts.password,
    database: parts.name,
    ...readTls(query, { kind, host: parts.host }),
  }
}

/** What a message or log line may say of an address. */
export function describeAddress({ kind, user, host, port, database }: ServerAddress): string {
  return `${kind}://${user}@${host}:${port}/${database}`
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A `%` that starts no escape is one that nobody encoded.
    return text
  }
}

function readHost(text: string): { host: string; port: number | undefined } {
  const [, bracketed, plain = '', digits] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d*))?$/.exec(text) ?? []
  if (bracketed === undefined && plain === '' && text !== '' && !text.startsWith(':')) {
    throw new Error(`'${text}' is not a host with a port`)
  }
  const port = digits ? Number(digits) : undefined
  if (port !== undefined && (port < 1 || port > 65_535)) {
    throw new Error(`the port ${port} is not a number from 1 to 65535`)
  }
  return { host: bracketed ?? plain, port }
}

/**
 * TLS from libpq's `sslmode`, `sslrootcert`, `sslcert`, `sslkey` and the `ssl_ca`, `ssl_cert`,
 * `ssl_key`, `ssl_verify_cert`, `ssl_verify_identity`, `ssl` that MySQL's drivers take. Files are
 * read now, so that a missing one is told at start.
 */
function readTls(
  parameters: URLSearchParams,
  { kind, host }: Pick<ServerAddress, 'kind' | 'host'>,
): Pick<ServerAddress, 'tls' | 'prefersTls'> {
  const first = (...names: string[]) =>
    names.map((name) => parameters.get(name)).find((value) => value !== null) ?? undefined
  const mode = first('sslmode', 'ssl-mode', 'ssl_mode')?.toLowerCase().replace(/_/g, '-')
  const root = first('sslrootcert', 'ssl_ca', 'ssl-ca')
  // As libpq spells the authorities that the system trusts.
  const ca = root === 'system' ? undefined : root
  const cert = first('sslcert', 'ssl_cert', 'ssl-cert')
  const key = first('sslkey', 'ssl_key', 'ssl-key')
  const verifying = ['ssl', 'ssl_verify_cert', 'ssl_verify_identity'].some((name) =>
    isYes(first(name)),
  )
  const fallback = kind === 'postgresql' ? 'prefer' : 'disable'
  const asks = mode ?? (root !== undefined || verifying ? 'verify-full' : fallback)
  if (['prefer', 'preferred'].includes(asks) && kind === 'postgresql' && !host.startsWith('/')) {
    return { tls: undefined, prefersTls: true }
  }
  if (['disable', 'disabled', 'allow', 'prefer', 'preferred'].includes(asks)) {
    return { tls: undefined }
  }
  const verifies = ['verify-ca', 'verify-full', 'verify-identity'].includes(asks)
  if (!verifies && asks !== 'require' && asks !== 'required') {
    throw new Error(`sslmode '${asks}' is none of disable, prefer, require, verify-ca, verify-full`)
  }
  const rejectUnauthorized = (verifies || root !== undefined) && !isNo(first('ssl_verify_cert'))
  const verifyIdentity =
    rejectUnauthorized &&
    ['verify-full', 'verify-identity'].includes(asks) &&
    !isNo(first('ssl_verify_identity'))
  if (verifyIdentity && kind === 'mysql' && isIP(host) !== 0) {
    throw new Error(
      `the certificate of '${host}' cannot be checked for an address: name the host, or use sslmode=verify-ca`,
    )
  }
  return {
    tls: {
      rejectUnauthorized,
      verifyIdentity,
      ...(ca !== undefined && { ca: readFile(ca) }),
      ...(cert !== undefined && { cert: readFile(cert) }),
      ...(key !== undefined && { key: readFile(key) }),
      ...(!verifyIdentity && { checkServerIdentity: () => undefined }),
    },
  }
}

function isYes(text: string | undefined): boolean {
  return text !== undefined && /^(true|1|yes|on)$/i.test(text)
}

function isNo(text: string | undefined): boolean {
  return text !== undefined && /^(false|0|no|off)$/i.test(text)
}

function readFile(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw new Error(`the TLS file '${path}' cannot be read (${reason})`)
  }
}
