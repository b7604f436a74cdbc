import { ApiError } from '@millrace/api/errors'
import { type Db, perAdapter } from './dialect.ts'

/** With one, everybody who comes while it is under way would wait for all of it. */
const UNDER_WAY_MAX = 2
const KEYS_MAX = 64
/** A statement that takes longer, as on a connection that broke unheard, holds up no others. */
const HELD_UP_MS = 1000

interface Waiting<Value> {
  promise: Promise<Value | undefined>
  resolve(value: Value | undefined): void
  reject(error: unknown): void
}

/**
 * Reads of one kind that come while others are under way, joined into one statement: a database
 * server then works, and this process talks to it, once for all of them. A read never joins a
 * statement that was sent before it came, so that it sees every write acknowledged until then.
 */
export class GroupedReads<Key, Value> {
  readonly #readAll: (keys: Key[]) => Promise<ReadonlyMap<Key, Value>>
  readonly #waiting = new Map<Key, Waiting<Value>>()
  #underWay = 0

  constructor(readAll: (keys: Key[]) => Promise<ReadonlyMap<Key, Value>>) {
    this.#readAll = readAll
  }

  read(key: Key): Promise<Value | undefined> {
    const same = this.#waiting.get(key)
    if (same !== undefined) return same.promise
    const waiting = Promise.withResolvers<Value | undefined>()
    this.#waiting.set(key, waiting)
    if (this.#underWay < UNDER_WAY_MAX) void this.#readWaiting()
    return waiting.promise
  }

  /** Answers whoever waits, until nobody does or another has taken over. */
  async #readWaiting(): Promise<void> {
    this.#underWay++
    let isSlow = false
    while (this.#waiting.size > 0 && !isSlow) {
      const group = [...this.#waiting].slice(0, KEYS_MAX)
      for (const [key] of group) this.#waiting.delete(key)
      const limit = setTimeout(() => {
        isSlow = true
        this.#underWay--
        if (this.#waiting.size > 0) void this.#readWaiting()
      }, HELD_UP_MS)
      await this.#answer(group)
      clearTimeout(limit)
    }
    if (!isSlow) this.#underWay--
  }

  async #answer(group: [Key, Waiting<Value>][]): Promise<void> {
    try {
      const values = await this.#readAll(group.map(([key]) => key))
      for (const [key, { resolve }] of group) resolve(values.get(key))
    } catch (error) {
      const isForAll = error instanceof ApiError && error.code === 'TEMPORARILY_UNAVAILABLE'
      if (group.length === 1 || isForAll) for (const [, { reject }] of group) reject(error)
      // One key, such as a text that the database refuses, must not fail the others.
      else await Promise.all(group.map((each) => this.#answer([each])))
    }
  }
}

/**
 * A read by key that joins others of its kind on the same database; `readAll` is given each key
 * once, and what it finds is shared by all who asked for it. `db` must not be in a transaction.
 */
export function groupedRead<Key, Value>(
  readAll: (db: Db, keys: Key[]) => Promise<ReadonlyMap<Key, Value>>,
): (db: Db, key: Key) => Promise<Value | undefined> {
  const readsOf = perAdapter((db) => new GroupedReads<Key, Value>((keys) => readAll(db, keys)))
  return (db, key) => readsOf(db).read(key)
}
