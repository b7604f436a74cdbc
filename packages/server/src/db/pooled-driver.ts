import { ApiError } from '@millrace/api/errors'
import type {
  CompiledQuery,
  DatabaseConnection,
  Driver,
  QueryResult,
  TransactionSettings,
} from 'kysely'

/** What a database server's own driver gives for one statement. */
export interface RawResult {
  rows: unknown[]
  changes?: number
  insertId?: number | bigint
}

/** One connection of a pool, of whatever driver. */
export interface RawConnection {
  query(statement: string, parameters: readonly unknown[]): Promise<RawResult>
  /** Gives the connection back, or ends it when it can no longer be trusted. */
  release(isBroken: boolean): void
}

/** A bounded pool of connections; `acquire` waits for a free one, though not for ever. */
export interface ConnectionPool {
  acquire(): Promise<RawConnection>
  /** Statements that begin a transaction which reads everything as of one moment. */
  readonly beginSnapshot: readonly string[]
  /** What an error of the driver means to those who wait for an answer. */
  toError(error: unknown): unknown
  end(): Promise<void>
}

/** Kysely on a pool of connections to a database server. */
export class PooledDriver implements Driver {
  readonly #pool: ConnectionPool
  constructor(pool: ConnectionPool) {
    this.#pool = pool
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<PooledConnection> {
    try {
      return new PooledConnection(await this.#pool.acquire(), this.#pool)
    } catch (error) {
      throw this.#pool.toError(error)
    }
  }

  async beginTransaction(
    connection: PooledConnection,
    { isolationLevel }: TransactionSettings,
  ): Promise<void> {
    const begin = isolationLevel === 'repeatable read' ? this.#pool.beginSnapshot : ['begin']
    for (const statement of begin) await connection.run(statement)
  }

  async commitTransaction(connection: PooledConnection): Promise<void> {
    await connection.run('commit')
  }

  async rollbackTransaction(connection: PooledConnection): Promise<void> {
    await connection.run('rollback')
  }

  async releaseConnection(connection: PooledConnection): Promise<void> {
    connection.release()
  }

  async destroy(): Promise<void> {
    await this.#pool.end()
  }
}

/** A statement failed because the connection or the database is gone, not for what it says. */
export class ConnectionLost extends ApiError {
  constructor(cause: Error) {
    const code = 'code' in cause && typeof cause.code === 'string' ? ` (${cause.code})` : ''
    super('TEMPORARILY_UNAVAILABLE', `The database cannot be reached${code}. Try again.`, {
      retryAfterSeconds: 1,
    })
    this.cause = cause
  }
}

/** Another transaction was in the way; done again, this one may succeed. */
export class TransactionConflict extends ApiError {
  constructor(cause: Error) {
    super('TEMPORARILY_UNAVAILABLE', 'Other writes were in the way. Try again.', {
      retryAfterSeconds: 1,
    })
    this.cause = cause
  }
}

export class PooledConnection implements DatabaseConnection {
  readonly #raw: RawConnection
  readonly #pool: ConnectionPool
  #isBroken = false

  constructor(raw: RawConnection, pool: ConnectionPool) {
    this.#raw = raw
    this.#pool = pool
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { rows, changes, insertId } = await this.run(query.sql, query.parameters)
    return {
      rows: rows as Row[],
      ...(changes !== undefined && { numAffectedRows: BigInt(changes) }),
      ...(insertId !== undefined && { insertId: BigInt(insertId) }),
    }
  }

  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    yield await this.executeQuery(query)
  }

  async run(statement: string, parameters: readonly unknown[] = []): Promise<RawResult> {
    try {
      return await this.#raw.query(statement, parameters)
    } catch (error) {
      const failure = this.#pool.toError(error)
      if (failure instanceof ConnectionLost) this.#isBroken = true
      throw failure
    }
  }

  /** Ends the connection rather than give it back: what runs on it is rolled back. */
  abandon(): void {
    this.#isBroken = true
  }

  release(): void {
    this.#raw.release(this.#isBroken)
  }
}
