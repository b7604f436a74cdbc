import {
  type Compilable,
  type CompiledQuery,
  type Expression,
  type Insertable,
  Kysely,
  type SqlBool,
  sql,
} from 'kysely'
import type { Schema } from './schema.ts'

/** A database or a transaction on one: store functions take it first and need not know which. */
export type Db = Kysely<Schema>

/** Inserts rows, leaving those whose key already exists as they are. */
export function insertMissing<T extends keyof Schema>(
  db: Db,
  table: T,
  rows: Insertable<Schema[T]>[],
) {
  return db
    .insertInto(table)
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
}

/** `LIKE` that tells upper from lower case; `%` and `_` are wildcards, nothing escapes them. */
export function like(text: Expression<unknown>, pattern: string): Expression<SqlBool> {
  return sql<SqlBool>`${text} like ${pattern}`
}

/** `LIKE` that takes upper and lower case for the same. */
export function likeIgnoringCase(text: Expression<unknown>, pattern: string): Expression<SqlBool> {
  return sql<SqlBool>`lower(${text}) like lower(${pattern})`
}

/** Whether there is a table of that name. */
export async function hasTable(db: Db, name: string): Promise<boolean> {
  const { rows } = await sql`
    select 1 from sqlite_master where type = 'table' and name = ${name}`.execute(db)
  return rows.length > 0
}

/** Whether an insert failed because a row with that unique key exists. */
export function isUniqueViolation(error: unknown): boolean {
  return (
    error instanceof Error &&
    'errcode' in error &&
    (error.errcode === 2067 || error.errcode === 1555)
  )
}

class Slot {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

/**
 * A statement that is built and compiled once per kind of database and then only run with new
 * parameters; Kysely's builder would cost more than the statement itself on the hot paths.
 */
export function compileOnce<Params extends Record<string, unknown>, Row>(
  build: (
    db: Db,
    param: <Name extends keyof Params & string>(name: Name) => Expression<Params[Name]>,
  ) => Compilable<Row>,
): (db: Db, params: Params) => Promise<Row[]> {
  const compiledByAdapter = new WeakMap<object, CompiledQuery<Row>>()
  return async (db, params) => {
    const { adapter } = db.getExecutor()
    let compiled = compiledByAdapter.get(adapter)
    if (compiled === undefined) {
      const statement = build(db, (name) => sql.val(new Slot(name)) as Expression<never>)
      compiled = statement.compile() as CompiledQuery<Row>
      compiledByAdapter.set(adapter, compiled)
    }
    const parameters = compiled.parameters.map((value) =>
      value instanceof Slot ? params[value.name] : value,
    )
    const { rows } = await db.executeQuery<Row>({ ...compiled, parameters })
    return rows
  }
}
