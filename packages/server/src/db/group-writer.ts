import { ApiError } from '@millrace/api/errors'
import { type Kysely, sql } from 'kysely'
import type { Writes } from './database.ts'
import { ConnectionLost, TransactionConflict } from './pooled-driver.ts'
import { type Call, commitQuick, PATIENCE_MS, pause, RETRY_PAUSE_MS } from './quick-commit.ts'
import type { Schema } from './schema.ts'
import { WriterWitness } from './writer-witness.ts'

/** Most writes of one transaction; more would only make those wait that come first. */
const GROUP_MAX = 64
/** A transaction that takes longer is undone, so that its locks hold nobody up for ever. */
const GROUP_MAX_MS = 10_000
const CONFLICTS_MAX = 10
/** How long the outcome of a commit that was not answered is asked for. */
const SETTLING_MS = 30_000

type Outcome = { output: unknown } | { error: unknown }

interface Progress {
  /** Set when all writes of a transaction are done and only its commit is left. */
  outcomes?: Outcome[]
  /** What the witness knows the transaction by, where one is needed. */
  batch?: number
}

/**
 * One of the writers of a database server: commits whatever arrived while its last transaction was
 * under way. Writes that are one statement go first and together, in one or two round trips; then
 * the others. A group is tried without savepoints first; when one of its writes fails, which few
 * do, it is undone and done again with one for each.
 */
export class GroupWriter {
  readonly #db: Kysely<Schema>
  readonly #writes: Writes
  readonly #witness = new WriterWitness()
  readonly #settling = new Set<Promise<void>>()
  #queue: Call[] = []
  #isRunning = false
  #idle: Promise<void> = Promise.resolve()

  constructor(db: Kysely<Schema>, writes: Writes) {
    this.#db = db
    this.#writes = writes
  }

  /** Resolves once the write is durable; rejects with what it threw, and then it left no trace. */
  write(name: string, caller: unknown, input: unknown, key: string): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ name, caller, input, key, resolve, reject })
      this.#ensureRunning()
    })
  }

  /** Resolves when nothing waits any more. */
  async drain(): Promise<void> {
    do {
      await Promise.all(this.#settling)
      await this.#idle
    } while (this.#settling.size > 0)
  }

  #ensureRunning(): void {
    if (!this.#isRunning) this.#idle = this.#run()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    // What else arrives in this turn of the loop shares the transaction.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#queue.length > 0) {
      const group = this.#queue.splice(0, GROUP_MAX)
      group.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
      const others = await commitQuick(this.#db, this.#writes, group)
      if (others.length > 0) await this.#commit(others)
    }
    this.#isRunning = false
  }

  async #commit(group: Call[]): Promise<void> {
    const result = await this.#attempt(group, 'together')
    if (result !== 'apart') return
    if (group.length === 1) await this.#commitAlone(group)
    else if ((await this.#attempt(group, 'with savepoints')) === 'apart') {
      for (const call of group) await this.#commitAlone([call])
    }
  }

  /** A write by itself that others are in the way of waits a little longer each time. */
  async #commitAlone(group: Call[]): Promise<void> {
    for (let tries = 1; tries <= CONFLICTS_MAX; tries++) {
      if ((await this.#attempt(group, 'together')) !== 'apart') return
      await pause(Math.random() * 20 * tries)
    }
    const error = new ApiError('TEMPORARILY_UNAVAILABLE', 'Other writes were in the way.', {
      retryAfterSeconds: 1,
    })
    for (const { reject } of group) reject(error)
  }

  /** Answers every call of the group, or none, when they have to be tried another way. */
  async #attempt(
    group: Call[],
    mode: 'together' | 'with savepoints',
  ): Promise<'answered' | 'apart'> {
    const deadline = Date.now() + PATIENCE_MS
    for (;;) {
      const progress: Progress = {}
      try {
        answer(group, await this.#transact(group, mode, progress))
        return 'answered'
      } catch (error) {
        const { outcomes, batch } = progress
        if (error instanceof ConnectionLost && outcomes !== undefined && batch !== undefined) {
          const settled = this.#settle(group, outcomes, batch)
          this.#settling.add(settled)
          void settled.finally(() => this.#settling.delete(settled))
          return 'answered'
        }
        if (error instanceof ConnectionLost && Date.now() < deadline) {
          await pause(RETRY_PAUSE_MS)
          continue
        }
        const isRefusal = mode === 'together' && group.length === 1
        const mayBeTriedApart = error instanceof TransactionConflict || !isRefusal
        if (mayBeTriedApart && !(error instanceof ConnectionLost)) return 'apart'
        for (const { reject } of group) reject(error)
        return 'answered'
      }
    }
  }

  /**
   * Answers a group whose commit was not answered, or has it done again, as soon as the database can
   * tell what became of it. Meanwhile the writer goes on with others.
   */
  async #settle(group: Call[], outcomes: Outcome[], batch: number): Promise<void> {
    this.#witness.doubt(batch)
    const isStored = await this.#askWitness(batch, Date.now() + SETTLING_MS)
    this.#witness.settled(batch)
    if (isStored) answer(group, outcomes)
    else if (isStored === undefined) for (const { reject } of group) reject(unsure())
    else {
      this.#queue.unshift(...group)
      this.#ensureRunning()
    }
  }

  async #askWitness(batch: number, deadline: number): Promise<boolean | undefined> {
    while (Date.now() < deadline) {
      await pause(RETRY_PAUSE_MS)
      try {
        return await this.#witness.isStored(this.#db, batch)
      } catch {
        // The database is away, or still at it: it is asked again.
      }
    }
    return undefined
  }

  async #transact(
    group: Call[],
    mode: 'together' | 'with savepoints',
    progress: Progress,
  ): Promise<Outcome[]> {
    return this.#db.transaction().execute(async (db) => {
      const startMs = Date.now()
      const outcomes: Outcome[] = []
      for (const call of group) {
        if (Date.now() - startMs > GROUP_MAX_MS) throw tooLong()
        outcomes.push(
          mode === 'together'
            ? { output: await this.#runOne(db, call) }
            : await this.#runSaved(db, call),
        )
      }
      if (group.some(({ name }) => this.#writes[name]?.isRepeatable !== true)) {
        progress.batch = await this.#witness.note(db)
      }
      progress.outcomes = outcomes
      return outcomes
    })
  }

  async #runSaved(db: Kysely<Schema>, call: Call): Promise<Outcome> {
    await sql`savepoint one_call`.execute(db)
    try {
      const output = await this.#runOne(db, call)
      await sql`release savepoint one_call`.execute(db)
      return { output }
    } catch (error) {
      if (error instanceof ConnectionLost || error instanceof TransactionConflict) throw error
      await sql`rollback to savepoint one_call`.execute(db)
      return { error }
    }
  }

  async #runOne(db: Kysely<Schema>, { name, caller, input }: Call): Promise<unknown> {
    const write = this.#writes[name]
    if (write === undefined) throw new Error(`There is no write named '${name}'`)
    return write(db, caller, input as never)
  }
}

function answer(group: Call[], outcomes: Outcome[]): void {
  for (const [index, { resolve, reject }] of group.entries()) {
    const outcome = outcomes[index]
    if (outcome !== undefined && 'error' in outcome) reject(outcome.error)
    else resolve(outcome?.output)
  }
}

function tooLong(): TransactionConflict {
  return new TransactionConflict(new Error(`a group of writes took longer than ${GROUP_MAX_MS} ms`))
}

/** The connection broke while the commit was under way, and the database has not been back since. */
function unsure(): ApiError {
  return new ApiError(
    'TEMPORARILY_UNAVAILABLE',
    'The connection to the database broke during the commit: the write may or may not be stored.',
    { retryAfterSeconds: 1 },
  )
}
