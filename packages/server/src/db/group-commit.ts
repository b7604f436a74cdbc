import type { DatabaseSync } from 'node:sqlite'
import { ApiError } from '@millrace/api/errors'
import type { Writes } from './database.ts'
import type { Db } from './dialect.ts'
import { keyNames } from './key-names.ts'
import type { WriteAnswer, WriteCall } from './sqlite-database.ts'
import { describeStorageFailure } from './storage-failure.ts'

/** Most writes in one transaction: bounds how long the first of a group waits for the last. */
const GROUP_MAX = 512

interface GroupCommitOptions {
  sqlite: DatabaseSync
  db: Db
  writes: Writes
}

/**
 * Runs waiting writes in one transaction, each by itself, so that one that is refused takes nothing
 * with it and all others share a single fsync. There is no timer: the time that the
 * last commit took is the time in which the next group gathers.
 */
export class GroupCommit {
  readonly #sqlite: DatabaseSync
  readonly #db: Db
  readonly #writes: Writes

  constructor({ sqlite, db, writes }: GroupCommitOptions) {
    this.#sqlite = sqlite
    this.#db = db
    this.#writes = writes
  }

  /** Takes calls from the front of the queue and answers them once they are on disk. */
  async run(queue: WriteCall[]): Promise<WriteAnswer[]> {
    const calls = queue.splice(0, GROUP_MAX)
    try {
      this.#sqlite.exec('BEGIN IMMEDIATE')
      const answers: WriteAnswer[] = []
      for (const call of calls) answers.push(await this.#runOne(call))
      this.#sqlite.exec('COMMIT')
      keyNames(this.#db).committed()
      return answers
    } catch (error) {
      if (this.#sqlite.isTransaction) this.#sqlite.exec('ROLLBACK')
      keyNames(this.#db).rolledBack()
      const refusal = toUnavailable(error)
      return calls.map(({ id }) => ({ id, error: refusal }))
    }
  }

  async #runOne(call: WriteCall): Promise<WriteAnswer> {
    return (await this.#runQuick(call)) ?? this.#runSaved(call)
  }

  /** One statement is done or not as it is, without a savepoint. */
  async #runQuick({ id, name, caller, input }: WriteCall): Promise<WriteAnswer | undefined> {
    try {
      const quick = await this.#writes[name]?.quick?.(this.#db, caller, input as never)
      if (quick === undefined) return undefined
      const { rows, numAffectedRows } = await this.#db.executeQuery(quick.statement)
      const output = quick.answer({ changes: Number(numAffectedRows ?? rows.length), rows })
      return output === undefined ? undefined : { id, output }
    } catch (error) {
      if (!this.#sqlite.isTransaction) throw error
      return { id, ...toAnswer(error) }
    }
  }

  async #runSaved({ id, name, caller, input }: WriteCall): Promise<WriteAnswer> {
    this.#sqlite.exec('SAVEPOINT call')
    try {
      const write = this.#writes[name]
      if (write === undefined) throw new Error(`There is no write named '${name}'`)
      const output = await write(this.#db, caller, input as never)
      this.#sqlite.exec('RELEASE call')
      return { id, output }
    } catch (error) {
      // A full disk or a broken file can end the whole transaction: then there is no savepoint
      // to go back to, and every write of the group fails together.
      if (!this.#sqlite.isTransaction) throw error
      this.#sqlite.exec('ROLLBACK TO call')
      this.#sqlite.exec('RELEASE call')
      keyNames(this.#db).rolledBack()
      return { id, ...toAnswer(error) }
    }
  }
}

function toAnswer(error: unknown) {
  if (error instanceof ApiError) {
    const { code, message, retryAfterSeconds } = error
    return {
      error: { code, message, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) },
    }
  }
  if (describeStorageFailure(error) !== undefined) return { error: toUnavailable(error) }
  const failure = error instanceof Error ? error : new Error(String(error))
  return { failure: { message: failure.message, stack: failure.stack } }
}

/** What went wrong with the storage itself; clients try again after the pause. */
function toUnavailable(error: unknown) {
  const reason = describeStorageFailure(error) ?? 'the transaction failed'
  return {
    code: 'TEMPORARILY_UNAVAILABLE' as const,
    message: `The database could not store the write: ${reason}. Nothing of it was kept.`,
    retryAfterSeconds: 1,
  }
}
