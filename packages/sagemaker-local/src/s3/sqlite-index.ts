import { DatabaseSync, type StatementSync } from 'node:sqlite'

/** A database beside files on disk that several processes may have open at once. */
export interface SqliteIndex extends Disposable {
  /** A prepared statement, made once. */
  sql(text: string): StatementSync
  /** Runs reads and writes as one durable transaction, alone among all processes. */
  write<Result>(change: () => Result): Result
}

// How long a statement waits for another process that is writing.
const BUSY_MS = 20_000

/** Opens a database, creating its tables when they are missing. */
export function openSqliteIndex(file: string, schema: string): SqliteIndex {
  const database = new DatabaseSync(file, { timeout: BUSY_MS })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  database.exec(`BEGIN IMMEDIATE; ${schema} COMMIT`)
  const statements = new Map<string, StatementSync>()
  return {
    sql: (text) => {
      const statement = statements.get(text) ?? database.prepare(text)
      statements.set(text, statement)
      return statement
    },
    write: (change) => {
      database.exec('BEGIN IMMEDIATE')
      try {
        const result = change()
        database.exec('COMMIT')
        return result
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK')
        throw error
      }
    },
    [Symbol.dispose]: () => database.close(),
  }
}
