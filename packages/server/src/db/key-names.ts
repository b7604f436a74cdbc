import { compileOnce, type Db, inPieces, insertRows, perAdapter } from './dialect.ts'

/**
 * The names of metrics, params and run tags with their ids, kept in memory: there are few of them,
 * and every row about a run names one.
 */
export class KeyNames {
  readonly #idByName = new Map<string, number>()
  readonly #nameById = new Map<number, string>()
  #outside: Db | undefined
  /** Whether the open transaction inserted names, which rolling it back would take back. */
  #hasUncommitted = false

  /**
   * Has names inserted through connections of their own. Where several transactions are open at once,
   * an id that one of them made is known to the others before it is committed.
   */
  insertOutside(outside: Db): void {
    this.#outside = outside
  }

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
    if (unknown.size === 0) return ids
    const inserter = this.#outside ?? db
    for (const names of inPieces([...unknown].sort())) {
      await insertNames(
        inserter,
        names.map((name) => ({ name })),
      )
      this.#hasUncommitted ||= this.#outside === undefined
      const rows = await inserter
        .selectFrom('key_name')
        .selectAll()
        .where('name', 'in', names)
        .execute()
      for (const { id, name } of rows) {
        this.#keep(id, name)
        ids.set(name, id)
      }
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

/** The key names of a database, the same ones inside its transactions. */
export const keyNames = perAdapter(() => new KeyNames())

/** Has the names of a database inserted through other connections, for `KeyNames.insertOutside`. */
export function insertNamesOutside(db: Db, outside: Db): void {
  keyNames(db).insertOutside(outside)
}

const selectByName = compileOnce<{ name: string }, { id: number }>((db, param) =>
  db.selectFrom('key_name').select('id').where('name', '=', param('name')),
)

const insertNames = insertRows('key_name', {
  columns: ['name'],
  key: ['name'],
  whenThere: 'keep',
})
