import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'

const WAIT_FOR_OTHER_PROCESS_MS = 10_000

const SCHEMA = `
CREATE TABLE IF NOT EXISTS resources (
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  arn TEXT NOT NULL,
  status TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  modified_ms INTEGER NOT NULL,
  document TEXT NOT NULL,
  progress TEXT NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS resources_by_creation ON resources (kind, created_ms, name);
CREATE INDEX IF NOT EXISTS resources_by_arn ON resources (arn);
CREATE TABLE IF NOT EXISTS tags (
  arn TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (arn, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tasks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  places INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('queued', 'claimed')),
  UNIQUE (kind, name)
) STRICT;
CREATE TABLE IF NOT EXISTS log_streams (
  log_group TEXT NOT NULL,
  name TEXT NOT NULL,
  file TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  PRIMARY KEY (log_group, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metric_points (
  namespace TEXT NOT NULL,
  name TEXT NOT NULL,
  dimensions TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  count REAL NOT NULL,
  sum REAL NOT NULL,
  min REAL NOT NULL,
  max REAL NOT NULL,
  unit TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS metric_points_by_metric
  ON metric_points (namespace, name, dimensions, time_ms);
CREATE TABLE IF NOT EXISTS settings (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`

/** The state of a control plane, open in this process. Several processes may have it open. */
export class State {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(path: string) {
    this.#database = new DatabaseSync(path, { timeout: WAIT_FOR_OTHER_PROCESS_MS })
    this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    this.#database.exec(SCHEMA)
  }

  all<Row>(sql: string, ...values: SQLInputValue[]): Row[] {
    // The row's type is the statement's, which stands beside it.
    return this.#statement(sql).all(...values) as Row[]
  }

  get<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined
  }

  /** Returns how many rows were changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes)
  }

  /** All of it or nothing; other processes wait. Transactions do not nest. */
  transaction<Result>(change: () => Result): Result {
    this.#database.exec('BEGIN IMMEDIATE')
    try {
      const result = change()
      this.#database.exec('COMMIT')
      return result
    } catch (error) {
      this.#database.exec('ROLLBACK')
      throw error
    }
  }

  /** A number that is another one after this process or another one has changed something. */
  version(): number {
    const others = this.get<{ data_version: number }>('PRAGMA data_version')?.data_version ?? 0
    return others + (this.get<{ own: number }>('SELECT total_changes() AS own')?.own ?? 0)
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known) return known
    const statement = this.#database.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

/** Opens `sagemaker.db` in the data directory, which is made when it is not there. */
export function openState(directory: string): State {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  return new State(join(directory, 'sagemaker.db'))
}
