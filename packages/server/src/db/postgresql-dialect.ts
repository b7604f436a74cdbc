import { ApiError, invalid } from '@millrace/api/errors'
import { type Dialect, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import pg, { type Pool as PgPool, type PoolClient, type PoolConfig } from 'pg'
import {
  ConnectionLost,
  type ConnectionPool,
  PooledDriver,
  type RawConnection,
  type RawResult,
  type RawStatement,
  TransactionConflict,
} from './pooled-driver.ts'
import { getTypeParser, PreparedQuery } from './postgresql-query.ts'
import type { ServerAddress } from './server-address.ts'
import { WarmClients } from './warm-clients.ts'

const CONNECT_TIMEOUT_MS = 5000
/** No statement of ours takes as long; one that does holds locks that others wait for. */
const STATEMENT_TIMEOUT_MS = 60_000
const STATEMENTS_PREPARED_MAX = 400

/**
 * Joins are written in the order to be done in, each a look into an index: searching for a better
 * order can take minutes, and a plan that reads and hashes a table reads all of its runs.
 */
const PLANNER = [
  'join_collapse_limit=1',
  'from_collapse_limit=1',
  'enable_hashjoin=off',
  'enable_mergejoin=off',
  'max_parallel_workers_per_gather=0',
  'random_page_cost=1.1',
]
  .map((setting) => `-c ${setting}`)
  .join(' ')

/** Kysely on a pool of connections to PostgreSQL; statements stay prepared. */
export async function postgresqlDialect(
  address: ServerAddress,
  { connections }: { connections: number },
): Promise<Dialect> {
  const pool: PgPool = new pg.Pool({
    host: address.host,
    port: address.port,
    user: address.user,
    password: address.password,
    database: address.database,
    ssl: address.tls ?? false,
    max: connections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + 1000,
    application_name: 'millrace',
    options: [PLANNER, address.options].filter(Boolean).join(' '),
    types: { getTypeParser } as never,
    pipeline: true,
  } as PoolConfig)
  // A connection that breaks while idle is replaced; whoever needs one hears about it then.
  pool.on('error', () => {})
  // One that breaks while in use fails its statement; unheard, the event would end the process.
  pool.on('connect', (client) => client.on('error', () => {}))
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new PooledDriver(toPool(pool)),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
}

function toPool(pool: PgPool): ConnectionPool {
  const names = new Map<string, string>()
  const nameOf = (statement: string): string | undefined => {
    const known = names.get(statement)
    if (known !== undefined || names.size >= STATEMENTS_PREPARED_MAX) return known
    const name = `s${names.size}`
    names.set(statement, name)
    return name
  }
  const warm = new WarmClients(pool)
  return {
    async acquire() {
      const client = warm.take() ?? (await pool.connect())
      return new Connection(client, nameOf, warm)
    },
    toError,
    async end() {
      warm.close()
      await pool.end()
    },
  }
}

const BEGIN = {
  write: 'begin',
  snapshot: 'begin isolation level repeatable read read only',
}

/** Statements go out without waiting for the answers to those before them. */
class Connection implements RawConnection {
  readonly #client: PoolClient
  readonly #nameOf: (statement: string) => string | undefined
  readonly #warm: WarmClients
  #begun: Promise<unknown> | undefined

  constructor(
    client: PoolClient,
    nameOf: (statement: string) => string | undefined,
    warm: WarmClients,
  ) {
    this.#client = client
    this.#nameOf = nameOf
    this.#warm = warm
  }

  async begin(kind: 'write' | 'snapshot'): Promise<void> {
    this.#begun = this.#client.query(BEGIN[kind])
    // The next statement tells; that it fails before there is one must not end the process.
    this.#begun.catch(() => {})
  }

  async query(statement: string, parameters: readonly unknown[]): Promise<RawResult> {
    const sent = this.#send({ sql: statement, parameters })
    const begun = this.#begun
    if (begun === undefined) return sent
    this.#begun = undefined
    const [, result] = await allOf<[unknown, RawResult]>([begun, sent])
    return result
  }

  async transact(statements: readonly RawStatement[]): Promise<RawResult[]> {
    const [only] = statements
    if (statements.length === 1 && only !== undefined) return [await this.#send(only)]
    const begun = this.#client.query('begin')
    const answers = statements.map((statement) => this.#send(statement))
    // The commit of a transaction in which a statement failed undoes it.
    const ended = this.#client.query('commit')
    await Promise.allSettled([begun, ...answers, ended])
    const results = await allOf<RawResult[]>(answers)
    await allOf([begun, ended])
    return results
  }

  release(isBroken: boolean): void {
    this.#warm.give(this.#client, isBroken)
  }

  async #send({ sql, parameters }: RawStatement): Promise<RawResult> {
    const name = parameters.length === 0 ? undefined : this.#nameOf(sql)
    const values = parameters as unknown[]
    if (name !== undefined) {
      return new Promise((resolve, reject) => {
        void this.#client.query(new PreparedQuery({ name, text: sql, values }, { resolve, reject }))
      })
    }
    const { rows, rowCount } = await this.#client.query({ text: sql, values })
    return { rows, ...(rowCount !== null && { changes: rowCount }) }
  }
}

/** Waits for every answer before it throws the first failure: none may come later, unheard. */
async function allOf<Results extends readonly unknown[]>(
  answers: {
    [Index in keyof Results]: Promise<Results[Index]>
  },
): Promise<Results> {
  await Promise.allSettled(answers)
  return Promise.all(answers) as unknown as Promise<Results>
}

/** Codes of PostgreSQL, appendix A: classes 08, 53, 57P and a server that became a standby. */
const LOST = /^(?:08|53|57P|25006$|28000$|28P01$|3D000$)/
const CONFLICTS = new Set(['40001', '40P01', '55P03'])
const NETWORK = /^E(?:CONN|PIPE|HOST|NET|AI_|TIMEDOUT)|^ENOTFOUND$/
const GONE = /terminat|timeout|closed|not queryable|client was passed/i
const NUL_IN_TEXT = '22021'
const CANCELED = '57014'

function toError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (CONFLICTS.has(code)) return new TransactionConflict(error)
  if (code === NUL_IN_TEXT) {
    return invalid('A text of the request holds a NUL character, which cannot be stored.')
  }
  if (code === CANCELED) {
    const message = `The database took longer than ${STATEMENT_TIMEOUT_MS / 1000} s. Ask for less.`
    return new ApiError('TEMPORARILY_UNAVAILABLE', message, { retryAfterSeconds: 5 })
  }
  if (LOST.test(code) || NETWORK.test(code) || (code === '' && GONE.test(error.message))) {
    return new ConnectionLost(error)
  }
  return error
}
