import { compileOnce, type Db } from './dialect.ts'

/**
 * The names of metrics, params and run tags with their ids, kept in memory: there are few of them,
 * and every row about a run names one.
 */
export class KeyNames {
  readonly #idByName = new Map<string, number>()
  readonly #nameById = new Map<number, string>()
  /** Whether the open transaction inserted names, which rolling it back would take back. */
  #hasUncommitted = false

  /** Ids of those names that have one. */
  async find(db: Db, names: Iterable<string>): Promise<Map<string, number>> {
    const found = new Map<string, number>()
    for (const name of names) {
      const id = this.#idByName.get(name) ?? (await this.#look(db, name))
      if (id !== undefined) found.set(name, id)
    }
    return found
  }

  /** Ids of all those names; inserts the unknown ones, so only for use in a write. */
  async ensure(db: Db, names: Iterable<string>): Promise<Map<string, number>> {
    const ids = new Map<string, number>()
    const unknown = new Set<string>()
    for (const name of names) {
      const id = this.#idByName.get(name) ?? (await this.#look(db, name))
      if (id === undefined) unknown.add(name)
      else ids.set(name, id)
    }
    for (const name of [...unknown].sort()) {
      const [row] = await insertName(db, { name })
      if (row === undefined) continue
      this.#hasUncommitted = true
      this.#keep(row.id, name)
      ids.set(name, row.id)
    }
    return ids
  }

  /** The name of an id that some row holds. */
  async nameOf(db: Db, id: number): Promise<string> {
    return this.#nameById.get(id) ?? (await this.#loadAll(db, id))
  }

  /** The name of an id that `nameOf` or `load` has seen. */
  known(id: number): string | undefined {
    return this.#nameById.get(id)
  }

  /** Makes sure that `known` answers for all of these ids. */
  async load(db: Db, ids: Iterable<number>): Promise<void> {
    for (const id of ids) if (!this.#nameById.has(id)) await this.#loadAll(db, id)
  }

  committed(): void {
    this.#hasUncommitted = false
  }

  /**
   * After the transaction or a savepoint in it was rolled back. Names from before the savepoint may
   * be looked up again and still be uncommitted, so only `committed` ends the doubt.
   */
  rolledBack(): void {
    if (!this.#hasUncommitted) return
    this.#idByName.clear()
    this.#nameById.clear()
  }

  async #look(db: Db, name: string): Promise<number | undefined> {
    const [row] = await selectByName(db, { name })
    if (row !== undefined) this.#keep(row.id, name)
    return row?.id
  }

  async #loadAll(db: Db, wanted: number): Promise<string> {
    const rows = await db.selectFrom('key_name').selectAll().execute()
    for (const { id, name } of rows) this.#keep(id, name)
    return this.#nameById.get(wanted) ?? `#${wanted}`
  }

  #keep(id: number, name: string): void {
    this.#idByName.set(name, id)
    this.#nameById.set(id, name)
  }
}

const namesByDatabase = new WeakMap<object, KeyNames>()

/** The key names of a database, the same ones inside its transactions. */
export function keyNames(db: Db): KeyNames {
  const { adapter } = db.getExecutor()
  let names = namesByDatabase.get(adapter)
  if (names === undefined) {
    names = new KeyNames()
    namesByDatabase.set(adapter, names)
  }
  return names
}

const selectByName = compileOnce<{ name: string }, { id: number }>((db, param) =>
  db.selectFrom('key_name').select('id').where('name', '=', param('name')),
)

const insertName = compileOnce<{ name: string }, { id: number }>((db, param) =>
  db
    .insertInto('key_name')
    .values({ name: param('name') })
    .returning('id'),
)
