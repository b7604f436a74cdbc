import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'

/** How much a commit waits for: `full` survives power failure, `normal` only the process's end. */
export type Synchronous = 'full' | 'normal'

const WAIT_FOR_OTHER_PROCESS_MS = 20_000
const CHECKPOINT_PAGES = 16_000

/** Opens a SQLite file the way every connection of ours needs it. */
export function openSqliteFile(
  path: string,
  options: { synchronous: Synchronous; queryOnly: boolean },
): DatabaseSync {
  const sqlite = new DatabaseSync(path, { timeout: WAIT_FOR_OTHER_PROCESS_MS })
  if (!options.queryOnly) sqlite.exec('PRAGMA journal_mode = WAL')
  sqlite.exec(`PRAGMA synchronous = ${options.synchronous}`)
  sqlite.exec('PRAGMA foreign_keys = ON')
  sqlite.exec('PRAGMA case_sensitive_like = ON')
  sqlite.exec('PRAGMA cache_size = -32768')
  sqlite.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`)
  if (options.queryOnly) sqlite.exec('PRAGMA query_only = ON')
  return sqlite
}

/** Kysely on one `node:sqlite` connection; statements stay prepared. */
export function sqliteDialect(sqlite: DatabaseSync): Dialect {
  const connection = new SqliteConnection(sqlite)
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new SqliteDriver(connection),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

class SqliteDriver implements Driver {
  readonly #connection: SqliteConnection
  constructor(connection: SqliteConnection) {
    this.#connection = connection
  }
  async init(): Promise<void> {}
  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection
  }
  async beginTransaction(): Promise<void> {
    this.#connection.sqlite.exec(this.#connection.isReadOnly ? 'BEGIN' : 'BEGIN IMMEDIATE')
  }
  async commitTransaction(): Promise<void> {
    this.#connection.sqlite.exec('COMMIT')
  }
  async rollbackTransaction(): Promise<void> {
    this.#connection.sqlite.exec('ROLLBACK')
  }
  async releaseConnection(): Promise<void> {}
  async destroy(): Promise<void> {
    this.#connection.sqlite.close()
  }
}

interface Prepared {
  statement: StatementSync
  returnsRows: boolean
  /** Names of columns that hold any int64. */
  wide: readonly string[]
}

/** Columns that hold an int64 of a client, by the name they have in their table. */
const WIDE = new Set([
  'step',
  'ts',
  'first_step',
  'first_ts',
  'min_step',
  'max_step',
  'start_time',
  'end_time',
])

const STATEMENTS_KEPT = 500

class SqliteConnection implements DatabaseConnection {
  readonly sqlite: DatabaseSync
  readonly isReadOnly: boolean
  readonly #prepared = new Map<string, Prepared>()

  constructor(sqlite: DatabaseSync) {
    this.sqlite = sqlite
    this.isReadOnly = sqlite.prepare('PRAGMA query_only').get()?.['query_only'] === 1
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const prepared = this.#prepare(query.sql)
    const { statement, returnsRows } = prepared
    const parameters = query.parameters.map(toSqlite)
    if (returnsRows) return { rows: allRows(prepared, parameters) as Row[] }

    const { changes, lastInsertRowid } = statement.run(...parameters)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    yield await this.executeQuery(query)
  }

  #prepare(sql: string): Prepared {
    const kept = this.#prepared.get(sql)
    if (kept) return kept
    const statement = this.sqlite.prepare(sql)
    const columns = statement.columns()
    const wide = columns.filter(({ column, name }) => WIDE.has(column ?? name))
    const prepared = {
      statement,
      returnsRows: columns.length > 0,
      wide: wide.map(({ name }) => name),
    }
    if (this.#prepared.size >= STATEMENTS_KEPT) this.#prepared.clear()
    this.#prepared.set(sql, prepared)
    return prepared
  }
}

function toSqlite(value: unknown): SQLInputValue {
  if (value === undefined) return null
  if (typeof value === 'boolean') return value ? 1 : 0
  return value as SQLInputValue // Kysely's table types leave nothing else that a column can hold.
}

const INT64_MIN = -(2 ** 63)

/** Integers beyond 2^53 come back as bigint, all others as number. */
function allRows({ statement, wide }: Prepared, parameters: SQLInputValue[]): unknown[] {
  try {
    const rows = statement.all(...parameters)
    // Of all integers beyond 2^53 this one alone is given as a number, as if it were none of them.
    if (!rows.some((row) => wide.some((column) => row[column] === INT64_MIN))) return rows
  } catch (error) {
    if (!isOutOfRange(error)) throw error
  }
  statement.setReadBigInts(true)
  try {
    const rows = statement.all(...parameters)
    for (const row of rows) {
      for (const [column, value] of Object.entries(row)) {
        if (typeof value === 'bigint' && Number.isSafeInteger(Number(value))) {
          row[column] = Number(value)
        }
      }
    }
    return rows
  } finally {
    statement.setReadBigInts(false)
  }
}

function isOutOfRange(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_OUT_OF_RANGE'
}
