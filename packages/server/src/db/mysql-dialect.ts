import { invalid } from '@millrace/api/errors'
import { type Dialect, MysqlAdapter, MysqlIntrospector, MysqlQueryCompiler } from 'kysely'
import type { FieldPacket, Pool, PoolConnection, ResultSetHeader, SslOptions } from 'mysql2'
import {
  ConnectionLost,
  type ConnectionPool,
  PooledDriver,
  type RawConnection,
  type RawResult,
  type RawStatement,
  TransactionConflict,
} from './pooled-driver.ts'
import type { ServerAddress } from './server-address.ts'

const CONNECT_TIMEOUT_MS = 5000
const LOCK_TIMEOUT_S = 10
/** A network that swallows what is sent would else hold a writer for as long as it likes. */
const STATEMENT_TIMEOUT_MS = 60_000

/** Enough for the longest tag: of longer texts a sort would compare the beginning alone. */
const SORT_LENGTH_BYTES = 32_768

/** Strict about values, lets an experiment have the id 0, and reads what was committed last. */
const SESSION = [
  `set session sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION'`,
  'set session transaction isolation level read committed',
  `set session innodb_lock_wait_timeout = ${LOCK_TIMEOUT_S}, max_sort_length = ${SORT_LENGTH_BYTES}`,
]

/** Kysely on a pool of connections to MySQL or MariaDB; statements stay prepared. */
export async function mysqlDialect(
  address: ServerAddress,
  { connections }: { connections: number },
): Promise<Dialect> {
  const { createPool } = await import('mysql2')
  const pool = createPool({
    ...(address.host.startsWith('/') ? { socketPath: address.host } : { host: address.host }),
    port: address.port,
    user: address.user,
    password: address.password ?? '',
    database: address.database,
    ...(address.tls !== undefined && { ssl: address.tls as SslOptions }),
    charset: 'utf8mb4_bin',
    timezone: 'Z',
    connectionLimit: connections,
    connectTimeout: CONNECT_TIMEOUT_MS,
    enableKeepAlive: true,
    supportBigNumbers: true,
    multipleStatements: false,
    maxPreparedStatements: 400,
  })
  return {
    createAdapter: () => new MysqlAdapter(),
    createDriver: () => new PooledDriver(toPool(pool)),
    createIntrospector: (db) => new MysqlIntrospector(db),
    createQueryCompiler: () => new QueryCompiler(),
  }
}

/** `limit ?` refuses the doubles that every number of JavaScript is sent as. */
class QueryCompiler extends MysqlQueryCompiler {
  protected override visitLimit(node: { limit: { kind: string; value?: unknown } }): void {
    const { kind, value } = node.limit
    if (kind === 'ValueNode' && Number.isSafeInteger(value)) this.append(`limit ${value}`)
    else super.visitLimit(node as never)
  }
}

function toPool(pool: Pool): ConnectionPool {
  const prepared = new WeakSet<object>()
  return {
    async acquire() {
      const connection = await freeConnection(pool)
      const raw = (connection as unknown as { connection?: object }).connection ?? connection
      if (!prepared.has(raw)) {
        try {
          for (const statement of SESSION) await run(connection, statement, [])
        } catch (error) {
          connection.destroy()
          throw error
        }
        prepared.add(raw)
      }
      return new Connection(connection, raw)
    },
    toError,
    end: () =>
      new Promise((resolve, reject) => pool.end((error) => (error ? reject(error) : resolve()))),
  }
}

/** Waits for a connection; one that comes too late goes back for those who wait now. */
function freeConnection(pool: Pool): Promise<PoolConnection> {
  return new Promise((resolve, reject) => {
    let isLate = false
    const deadline = setTimeout(() => {
      isLate = true
      reject(new Error('no connection became free in time: Pool timeout'))
    }, CONNECT_TIMEOUT_MS)
    pool.getConnection((error, free) => {
      clearTimeout(deadline)
      if (error) reject(error)
      else if (isLate) free.release()
      else resolve(free)
    })
  })
}

/** Server connections on which a transaction begins with whatever statement comes first. */
const beginsByItself = new WeakSet<object>()

class Connection implements RawConnection {
  readonly #connection: PoolConnection
  /** The same object whenever the pool gives this connection. */
  readonly #identity: object
  #isInTransaction = false

  constructor(connection: PoolConnection, identity: object) {
    this.#connection = connection
    this.#identity = identity
  }

  async begin(kind: 'write' | 'snapshot'): Promise<void> {
    this.#isInTransaction = true
    if (kind === 'snapshot') {
      await this.#run('set transaction isolation level repeatable read')
      await this.#run('start transaction with consistent snapshot, read only')
    } else if (!beginsByItself.has(this.#identity)) {
      await this.#run('set autocommit = 0')
      beginsByItself.add(this.#identity)
    }
  }

  async query(statement: string, parameters: readonly unknown[]): Promise<RawResult> {
    if (!this.#isInTransaction && beginsByItself.has(this.#identity)) {
      await this.#run('set autocommit = 1')
      beginsByItself.delete(this.#identity)
    }
    return run(this.#connection, statement, parameters)
  }

  async transact(statements: readonly RawStatement[]): Promise<RawResult[]> {
    await this.begin('write')
    try {
      const results: RawResult[] = []
      for (const { sql, parameters } of statements) results.push(await this.query(sql, parameters))
      await this.#run('commit')
      return results
    } catch (error) {
      await this.#run('rollback').catch(() => this.#connection.destroy())
      throw error
    }
  }

  release(isBroken: boolean): void {
    if (isBroken) this.#connection.destroy()
    else this.#connection.release()
  }

  #run(statement: string): Promise<RawResult> {
    return run(this.#connection, statement, [])
  }
}

type Cell = number | bigint | string | Buffer | null

function run(connection: PoolConnection, statement: string, parameters: readonly unknown[]) {
  return new Promise<RawResult>((resolve, reject) => {
    const done = (error: Error | null, result: unknown, fields: FieldPacket[] | undefined) => {
      if (error) return reject(error)
      if (Array.isArray(result)) return resolve({ rows: readRows(result, fields ?? []) })
      const { affectedRows, insertId } = result as ResultSetHeader
      resolve({ rows: [], changes: affectedRows, insertId })
    }
    // Statements about transactions and sessions cannot all be prepared.
    const isLong = /^\s*(?:create|alter|drop)\b/i.test(statement)
    const question = { sql: statement, ...(!isLong && { timeout: STATEMENT_TIMEOUT_MS }) }
    if (parameters.length === 0) connection.query(question, done as never)
    else connection.execute(question, parameters.map(toMysql) as never, done as never)
  })
}

/** Integers go as text: as the doubles that the driver makes of them they would lose digits. */
function toMysql(value: unknown): unknown {
  if (value === undefined) return null
  if (typeof value === 'bigint' || Number.isInteger(value)) return String(value)
  return value
}

const LONGLONG = 8
const NEWDECIMAL = 246

/** The driver gives integers beyond 2^53, and sums, as text. */
function readRows(rows: unknown[], fields: FieldPacket[]): unknown[] {
  const integers = fields.filter(({ columnType }) => columnType === LONGLONG)
  const decimals = fields.filter(({ columnType }) => columnType === NEWDECIMAL)
  if (integers.length + decimals.length === 0) return rows
  for (const row of rows as Record<string, Cell>[]) {
    for (const { name } of integers) {
      const value = row[name]
      if (typeof value === 'string') row[name] = BigInt(value)
    }
    for (const { name } of decimals) if (row[name] !== null) row[name] = Number(row[name])
  }
  return rows
}

const CONFLICTS = new Set(['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT', 'ER_CHECKREAD'])
const LOST = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_SEQUENCE_TIMEOUT',
  'ER_CON_COUNT_ERROR',
  'ER_SERVER_SHUTDOWN',
  'ER_NORMAL_SHUTDOWN',
  'ER_OPTION_PREVENTS_STATEMENT',
  'ER_READ_ONLY_MODE',
  'ER_CONNECTION_KILLED',
  'ER_CLIENT_INTERACTION_TIMEOUT',
  'ER_ACCESS_DENIED_ERROR',
  'ER_BAD_DB_ERROR',
  'ER_DISK_FULL',
  'ER_RECORD_FILE_FULL',
  'POOL_CLOSED',
])
const NETWORK = /^E(?:CONN|PIPE|HOST|NET|AI_|TIMEDOUT)|^ENOTFOUND$/
const GONE = /closed state|closed connection|Connection lost|Pool is closed|Pool timeout/i

function toError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (CONFLICTS.has(code)) return new TransactionConflict(error)
  if (code === 'ER_DATA_TOO_LONG') return invalid(`A text is too long: ${error.message}.`)
  if (LOST.has(code) || NETWORK.test(code) || GONE.test(error.message)) {
    return new ConnectionLost(error)
  }
  return error
}
