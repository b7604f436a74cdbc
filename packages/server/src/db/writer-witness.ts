import { randomUUID } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { type Db, insertRows, kindOf, perAdapter } from './dialect.ts'
import type { Schema } from './schema.ts'

/** Transactions after which a writer removes the rows of those before them. */
const KEPT_MAX = 256
const LOCK_PATIENCE = '2s'
/** Much longer than anybody waits for an answer. */
const OLD_MS = 24 * 3_600_000
const CLEARING_INTERVAL_MS = 3_600_000

/** In place of a time: the row was not left by its transaction but by who asked for it. */
const NOT_STORED = 0

/**
 * Tells of a writer's transactions which are stored. Each leaves a row with its number: after a commit
 * that was not answered, whoever tries to insert that row waits for the transaction to end, and then
 * finds it there or has taken its place.
 */
export class WriterWitness {
  readonly #writer = randomUUID()
  readonly #doubted = new Set<number>()
  #last = 0
  #removed = 0

  /** Leaves the row of a transaction in it, last of all, and returns its number. */
  async note(db: Db): Promise<number> {
    const batch = ++this.#last
    if (batch - this.#removed > KEPT_MAX) await this.#remove(db, batch - KEPT_MAX / 2)
    await insertWitness(db, [{ writer: this.#writer, batch, time: Date.now() }])
    return batch
  }

  /** Keeps the row of a transaction, which `isStored` will be asked about, until `settled`. */
  doubt(batch: number): void {
    this.#doubted.add(batch)
  }

  settled(batch: number): void {
    this.#doubted.delete(batch)
  }

  /**
   * Whether a transaction that was noted is stored; once answered, that is final.
   *
   * @throws ApiError when the database is away, or still at that transaction
   */
  async isStored(db: Kysely<Schema>, batch: number): Promise<boolean> {
    return db.transaction().execute(async (db) => {
      if (kindOf(db) === 'postgresql') {
        await sql`set local lock_timeout = ${sql.lit(LOCK_PATIENCE)}`.execute(db)
      }
      await takePlace(db, [{ writer: this.#writer, batch, time: NOT_STORED }])
      const { time } = await db
        .selectFrom('writer_witness')
        .select('time')
        .where('writer', '=', this.#writer)
        .where('batch', '=', batch)
        .executeTakeFirstOrThrow()
      return time !== NOT_STORED
    })
  }

  /** A bounded range: what was removed is skipped one by one for as long as a backup may see it. */
  async #remove(db: Db, last: number): Promise<void> {
    const upTo = Math.min(last, ...[...this.#doubted].map((batch) => batch - 1))
    await db
      .deleteFrom('writer_witness')
      .where('writer', '=', this.#writer)
      .where('batch', '>', this.#removed)
      .where('batch', '<=', upTo)
      .execute()
    this.#removed = upTo
  }
}

const COLUMNS = ['writer', 'batch', 'time'] as const
const insertWitness = insertRows('writer_witness', { columns: COLUMNS })
const takePlace = insertRows('writer_witness', {
  columns: COLUMNS,
  key: ['writer', 'batch'],
  whenThere: 'keep',
})

const clearing = perAdapter(() => ({ lastMs: 0 }))

/** Removes now and then what writers have left that are gone. */
export async function deleteOldWitnesses(db: Db): Promise<void> {
  const now = Date.now()
  if (now - clearing(db).lastMs < CLEARING_INTERVAL_MS) return
  clearing(db).lastMs = now
  await db
    .deleteFrom('writer_witness')
    .where('time', '<', now - OLD_MS)
    .execute()
}
