import type { CompiledQuery } from 'kysely'
import type { Db } from './dialect.ts'

/**
 * A unit of work that changes the database: a function that a writer finds by its name and runs
 * inside a transaction. Named, because on SQLite the writer is another thread; its input must
 * survive a structured clone.
 */
export interface Write {
  (db: Db, caller: unknown, input: never): Promise<unknown>
  /** What does all of it in one statement, where one can; asked for outside of the transaction. */
  readonly quick?: (db: Db, caller: unknown, input: never) => Promise<QuickWrite | undefined>
  /**
   * Whether doing it twice changes no more than doing it once, and is answered alike: then it is done
   * again when its commit was not answered, and needs no witness of that.
   */
  readonly isRepeatable?: boolean
}

/**
 * One statement that is a whole write, so that a database server is asked once. It must look for
 * itself whether it may write, and doing it twice must change no more than doing it once: after a
 * broken connection it is sent again.
 */
export interface QuickWrite {
  readonly statement: CompiledQuery
  /** The write's answer; undefined when the statement changed nothing, and the write is to run. */
  answer(result: QuickResult): unknown
}

export interface QuickResult {
  /** Rows inserted or updated. */
  readonly changes: number
  readonly rows: readonly unknown[]
}

/** Every unit of work by name. */
export type Writes = Readonly<Record<string, Write>>

/** One database, whichever kind it is. */
export interface Database {
  /** For reading; sees every write that was acknowledged. */
  readonly read: Db
  /** For reading what may be a moment old: a replica, where there is one, and else `read`. */
  readonly lagging: Db
  /**
   * Runs statements that all see the database as it is at one moment. It must not wait for a write,
   * whose result it could not see.
   */
  snapshot<Result>(run: (db: Db) => Promise<Result>): Promise<Result>
  /**
   * Runs the write of that name and resolves once it is durable; rejects with what it threw, and
   * then it left no trace. Refuses with 503 when too much is waiting.
   */
  write(name: string, caller: unknown, input: unknown): Promise<unknown>
  /** Writes waiting for their commit, for the metrics page. */
  readonly pendingWrites: number
  /** Finishes what was accepted and closes. */
  close(): Promise<void>
}
