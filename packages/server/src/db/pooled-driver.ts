import { ApiError } from '@millrace/api/errors'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type Kysely,
  type QueryResult,
  type TransactionSettings,
} from 'kysely'

/** What a database server's own driver gives for one statement. */
export interface RawResult {
  rows: unknown[]
  changes?: number
  insertId?: number | bigint
}

/** One statement with its parameters. */
export type RawStatement = Pick<CompiledQuery, 'sql' | 'parameters'>

/** One connection of a pool, of whatever driver. */
export interface RawConnection {
  query(statement: string, parameters: readonly unknown[]): Promise<RawResult>
  /**
   * Begins a transaction without waiting for the database where that can be helped: then the next
   * statement fails if this did. A snapshot reads everything as of one moment.
   */
  begin(kind: 'write' | 'snapshot'): Promise<void>
  /**
   * Runs statements in a transaction of their own, in as few round trips as can be; all of them, or
   * none.
   */
  transact(statements: readonly RawStatement[]): Promise<RawResult[]>
  /** Gives the connection back, or ends it when it can no longer be trusted. */
  release(isBroken: boolean): void
}

/** A bounded pool of connections; `acquire` waits for a free one, though not for ever. */
export interface ConnectionPool {
  acquire(): Promise<RawConnection>
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
      const failure = this.#pool.toError(error)
      // Whatever keeps us out, as a certificate that expired meanwhile, is no fault of the request.
      if (failure instanceof ApiError || !(failure instanceof Error)) throw failure
      throw new ConnectionLost(failure)
    }
  }

  async beginTransaction(
    connection: PooledConnection,
    { isolationLevel }: TransactionSettings,
  ): Promise<void> {
    await connection.begin(isolationLevel === 'repeatable read' ? 'snapshot' : 'write')
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

const togetherByQuery = new WeakMap<CompiledQuery, readonly RawStatement[]>()

/**
 * Runs statements in a transaction of their own, and with that in as few round trips as can be.
 * `db` must be connections to a server, and not be in a transaction.
 */
export async function transact(
  db: Pick<Kysely<unknown>, 'executeQuery'>,
  statements: readonly RawStatement[],
): Promise<RawResult[]> {
  // Kysely hands one statement to one connection; this one stands for all of them.
  const query = CompiledQuery.raw('')
  togetherByQuery.set(query, statements)
  const { rows } = await db.executeQuery<RawResult>(query)
  return rows
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
    const together = togetherByQuery.get(query)
    if (together !== undefined) {
      return { rows: (await this.#try(() => this.#raw.transact(together))) as Row[] }
    }
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

  run(statement: string, parameters: readonly unknown[] = []): Promise<RawResult> {
    return this.#try(() => this.#raw.query(statement, parameters))
  }

  begin(kind: 'write' | 'snapshot'): Promise<void> {
    return this.#try(() => this.#raw.begin(kind))
  }

  async #try<Result>(action: () => Promise<Result>): Promise<Result> {
    try {
      return await action()
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
