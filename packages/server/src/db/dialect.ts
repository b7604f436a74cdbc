import {
  type Compilable,
  type CompiledQuery,
  type Expression,
  type Insertable,
  type Kysely,
  MysqlAdapter,
  PostgresAdapter,
  type RawBuilder,
  type SqlBool,
  sql,
} from 'kysely'
import type { Schema } from './schema.ts'

/** A database or a transaction on one: store functions take it first and need not know which. */
export type Db = Kysely<Schema>

/** What a database speaks; MariaDB speaks `mysql`. */
export type DatabaseKind = 'sqlite' | 'postgresql' | 'mysql'

/** What the database behind a `Db` speaks. */
export function kindOf(db: Pick<Db, 'getExecutor'>): DatabaseKind {
  const { adapter } = db.getExecutor()
  if (adapter instanceof PostgresAdapter) return 'postgresql'
  return adapter instanceof MysqlAdapter ? 'mysql' : 'sqlite'
}

/** Most values that one statement lists: SQLite takes 32,766 parameters, the others 65,535. */
export const VALUES_PER_QUERY = 10_000

/** A list in pieces that one statement takes each. */
export function inPieces<Item>(items: readonly Item[]): Item[][] {
  const pieces: Item[][] = []
  for (let from = 0; from < items.length; from += VALUES_PER_QUERY) {
    pieces.push(items.slice(from, from + VALUES_PER_QUERY))
  }
  return pieces
}

/**
 * `LIKE` that tells upper from lower case; `%` and `_` are wildcards, nothing escapes them. Two of
 * the databases take `\` for an escape unless another is named.
 */
export function like(text: Expression<unknown>, pattern: string): Expression<SqlBool> {
  return sql<SqlBool>`${text} like ${unescaped(pattern)} escape '!'`
}

/** `LIKE` that takes upper and lower case for the same. */
export function likeIgnoringCase(text: Expression<unknown>, pattern: string): Expression<SqlBool> {
  return sql<SqlBool>`lower(${text}) like lower(${unescaped(pattern)}) escape '!'`
}

function unescaped(pattern: string): string {
  return pattern.replaceAll('!', '!!')
}

/** Characters of a text that an index holds where it cannot hold them all. */
export const INDEXED_HEAD = 400

/** That a text is one of some values, in the form that an index on it can answer. */
export function isText(
  db: Db,
  column: Expression<unknown>,
  values: readonly string[],
): Expression<SqlBool> {
  const isEqual = sql<SqlBool>`${column} in (${sql.join(values)})`
  if (kindOf(db) !== 'postgresql') return isEqual
  const heads = values.map((value) => Array.from(value).slice(0, INDEXED_HEAD).join(''))
  return sql<SqlBool>`${headOf(column)} in (${sql.join(heads)}) and ${isEqual}`
}

/** Joins tables in the order given, where the database can be told. */
export function joinInOrder(db: Db, tables: readonly RawBuilder<unknown>[]): RawBuilder<unknown> {
  return sql.join(tables, kindOf(db) === 'mysql' ? sql` straight_join ` : sql` cross join `)
}

/** Whether an index on a text gives its order at all. */
export function ordersTexts(db: Db): boolean {
  return kindOf(db) !== 'mysql'
}

/** What to order by so that an index on a text gives its order. */
export function textOrder(db: Db, column: Expression<unknown>): Expression<unknown>[] {
  return kindOf(db) === 'postgresql' ? [headOf(column), column] : [column]
}

/**
 * The two ranges of an index on `value` that hold all texts but one; together, and for a text that
 * the index holds but the head of, they may hold it too or others with that head.
 */
export function otherTexts(db: Db, alias: string, text: string): Expression<SqlBool>[] {
  const column = sql.ref(`${alias}.value`)
  if (kindOf(db) !== 'postgresql') {
    return [sql<SqlBool>`${column} < ${text}`, sql<SqlBool>`${column} > ${text}`]
  }
  const head = Array.from(text).slice(0, INDEXED_HEAD).join('')
  const isWhole = head === text && Array.from(text).length < INDEXED_HEAD
  const [below, above] = isWhole ? ['<', '>'] : ['<=', '>']
  return [below, above].map(
    (operator) => sql<SqlBool>`${headOf(column)} ${sql.raw(operator)} ${head}`,
  )
}

interface Nth {
  /** A table that `where` calls by the alias. */
  table: Expression<unknown>
  where: Expression<SqlBool>
  descending: boolean
  count: number
}

/** A column that an index has, of a table that a statement calls `alias`. */
interface IndexedColumn {
  alias: string
  column: string
  isText: boolean
  /** The primary key of the table. */
  key: readonly string[]
}

/**
 * A column in the form that the index on it can answer: of a text some databases index the head
 * alone, and MySQL gives no order by that.
 */
export function indexedColumn({ alias, column, isText, key }: IndexedColumn) {
  const value = sql.ref(`${alias}.${column}`)
  const indexed = (db: Db) => (isText && kindOf(db) === 'postgresql' ? headOf(value) : value)
  const name = sql.ref(alias)
  return {
    /** That the value is at least this one, or at most when `descending`. */
    isFrom(db: Db, value: unknown, descending: boolean): Expression<SqlBool> {
      const isText = typeof value === 'string' && kindOf(db) === 'postgresql'
      const bound = isText ? Array.from(value).slice(0, INDEXED_HEAD).join('') : value
      return descending
        ? sql<SqlBool>`${indexed(db)} <= ${bound}`
        : sql<SqlBool>`${indexed(db)} >= ${bound}`
    },
    /**
     * A value that `count` rows do not come after, and not many more. Undefined when there are fewer
     * rows.
     */
    async nth(
      db: Db,
      { table, where, descending, count }: Nth,
    ): Promise<string | number | undefined> {
      if (isText && kindOf(db) === 'mysql')
        return nthInPrefix(db, { table, where, descending, count })
      const { rows } = await sql<{ bound: string | number }>`
        select ${indexed(db)} as bound from ${table} as ${name} where ${where}
        order by ${indexed(db)} ${sql.raw(descending ? 'desc' : 'asc')}
        limit 1 offset ${sql.lit(count - 1)}`.execute(db)
      return rows[0]?.bound
    },
  }

  /**
   * Rows come in the order of the index that they are read by, though nothing promises that. Were it
   * otherwise, the value would still be one that so many do not come after, if not the nearest.
   */
  async function nthInPrefix(db: Db, { table, where, descending, count }: Nth) {
    const { rows: totals } = await sql<{ n: number }>`
      select count(*) as n from ${table} as ${name} where ${where}`.execute(db)
    const total = Number(totals[0]?.n ?? 0)
    if (total < count) return undefined
    const extreme = sql.raw(descending ? 'min' : 'max')
    const keys = key.map((part) => sql.ref(`${alias}.${part}`))
    const isListed = key.map(
      (part) => sql`${sql.ref(`found.${part}`)} = ${sql.ref(`listed.${part}`)}`,
    )
    const { rows } = await sql<{ bound: string }>`
      select ${extreme}(${sql.ref(`found.${column}`)}) as bound from (
        select ${sql.join(keys)} from ${table} as ${name} where ${where}
        limit ${sql.lit(count)} offset ${sql.lit(descending ? total - count : 0)}) as listed
      straight_join ${table} as found on ${sql.join(isListed, sql` and `)}`.execute(db)
    return rows[0]?.bound
  }
}

function headOf(column: Expression<unknown>): Expression<unknown> {
  return sql`substr(${column}, 1, ${sql.lit(INDEXED_HEAD)})`
}

/** Names of the tables in the database, or in the schema that a connection of PostgreSQL uses. */
export async function tableNames(db: Db): Promise<Set<string>> {
  const query = {
    sqlite: sql<{ name: string }>`
      select name from sqlite_master where type = 'table' and name not like 'sqlite_%'`,
    postgresql: sql<{ name: string }>`
      select table_name as name from information_schema.tables
      where table_schema = current_schema()`,
    mysql: sql<{ name: string }>`
      select table_name as name from information_schema.tables where table_schema = database()`,
  }
  const { rows } = await query[kindOf(db)].execute(db)
  return new Set(rows.map(({ name }) => name))
}

const UNIQUE_VIOLATIONS = new Set<unknown>([2067, 1555, '23505', 'ER_DUP_ENTRY'])

/** Whether an insert failed because a row with that unique key exists. */
export function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { errcode, code } = error as { errcode?: unknown; code?: unknown }
  return UNIQUE_VIOLATIONS.has(errcode) || UNIQUE_VIOLATIONS.has(code)
}

/**
 * Keeps other transactions from changing a row until this one ends. On SQLite there is only one
 * writer, so there is nothing to do.
 */
export async function lockRow(
  db: Db,
  table: 'run' | 'experiment' | 'registered_model' | 'logged_model',
  id: number,
): Promise<void> {
  if (kindOf(db) === 'sqlite') return
  await db.selectFrom(table).select('id').where('id', '=', id).forUpdate().execute()
}

class Slot {
  readonly name: string | number
  constructor(name: string | number) {
    this.name = name
  }
}

type Build<Params, Row> = (
  db: Db,
  param: <Name extends keyof Params & string>(name: Name) => Expression<Params[Name]>,
) => Compilable<Row>

/**
 * A statement that is built and compiled once per kind of database and then only given new
 * parameters; Kysely's builder would cost more than the statement itself on the hot paths.
 */
export function statementOnce<Params extends Record<string, unknown>, Row>(
  build: Build<Params, Row>,
): (db: Db, params: Params) => CompiledQuery<Row> {
  const compiled = perAdapter((db) =>
    build(db, (name) => sql.val(new Slot(name)) as Expression<never>).compile(),
  )
  return (db, params) => {
    const statement = compiled(db)
    const parameters = statement.parameters.map((value) =>
      value instanceof Slot ? params[value.name] : value,
    )
    return { ...statement, parameters } as CompiledQuery<Row>
  }
}

/** The same, run: gives the rows of the statement. */
export function compileOnce<Params extends Record<string, unknown>, Row>(
  build: Build<Params, Row>,
): (db: Db, params: Params) => Promise<Row[]> {
  const statement = statementOnce(build)
  return async (db, params) => {
    const { rows } = await db.executeQuery<Row>(statement(db, params))
    return rows
  }
}

/** A value of its own for each database, the same one inside its transactions. */
export function perAdapter<Value>(make: (db: Db) => Value): (db: Db) => Value {
  const byAdapter = new WeakMap<object, Value>()
  return (db) => {
    const { adapter } = db.getExecutor()
    let value = byAdapter.get(adapter)
    if (value === undefined) {
      value = make(db)
      byAdapter.set(adapter, value)
    }
    return value
  }
}

type Column<Table extends keyof Schema> = keyof Schema[Table] & string

interface InsertOptions<Table extends keyof Schema> {
  columns: readonly Column<Table>[]
  /** The unique key by which a row is there already, and what happens to it then. */
  key?: readonly Column<Table>[]
  whenThere?: 'keep' | 'replace'
}

/** Rows of one statement; few sizes, so that each is prepared once. SQLite gains nothing by them. */
const ROWS_PER_INSERT = [256, 64, 16, 8, 4, 3, 2, 1]

/**
 * An insert of any number of rows by statements that are compiled once. `keep` leaves rows whose
 * key exists as they are, `replace` overwrites them with the new ones; no two rows of a call may
 * then have the same key.
 */
export function insertRows<Table extends keyof Schema>(
  table: Table,
  options: InsertOptions<Table>,
): (db: Db, rows: readonly Insertable<Schema[Table]>[]) => Promise<void> {
  const { columns } = options
  const statements = perAdapter(() => new Map<number, CompiledQuery>())
  const statementFor = (db: Db, count: number) => {
    const kept = statements(db).get(count)
    if (kept !== undefined) return kept
    const made = compileInsert(db, table, options, count)
    statements(db).set(count, made)
    return made
  }
  return async (db, rows) => {
    const sizes = kindOf(db) === 'sqlite' ? [1] : ROWS_PER_INSERT
    for (let from = 0; from < rows.length; ) {
      const count = sizes.find((size) => size <= rows.length - from) ?? 1
      const parameters = rows
        .slice(from, from + count)
        .flatMap((row) => columns.map((column) => (row as Record<string, unknown>)[column]))
      await db.executeQuery({ ...statementFor(db, count), parameters })
      from += count
    }
  }
}

function compileInsert<Table extends keyof Schema>(
  db: Db,
  table: Table,
  { columns, key = [], whenThere }: InsertOptions<Table>,
  count: number,
): CompiledQuery {
  const rows = Array.from({ length: count }, () =>
    Object.fromEntries(columns.map((column) => [column, new Slot(column)])),
  )
  const insert = db.insertInto(table as 'param').values(rows as never)
  if (whenThere === undefined) return insert.compile()
  const others = columns.filter((column) => !key.includes(column))
  if (kindOf(db) === 'mysql') {
    // `insert ignore` would also cut texts that are too long.
    const changes =
      whenThere === 'keep'
        ? key.slice(0, 1).map((column) => [column, sql.ref(`${table}.${column}`)])
        : others.map((column) => [column, sql`values(${sql.ref(column)})`])
    return insert.onDuplicateKeyUpdate(Object.fromEntries(changes) as never).compile()
  }
  return insert
    .onConflict((conflict) => {
      const target = conflict.columns(key as never)
      if (whenThere === 'keep') return target.doNothing()
      const changes = others.map((column) => [column, sql.ref(`excluded.${column}`)])
      return target.doUpdateSet(Object.fromEntries(changes) as never)
    })
    .compile()
}

type TableWithIds = 'run' | 'experiment' | 'registered_model' | 'logged_model' | 'dataset'

/**
 * An insert of one row into a table that gives out ids, by a statement that is compiled once. Where a
 * row is there with the same `key`, a unique column, it stays as it is and its id is given.
 */
export function insertReturningId<Table extends TableWithIds>(
  table: Table,
  columns: readonly Column<Table>[],
  key?: Column<Table>,
): (db: Db, row: Insertable<Schema[Table]>) => Promise<number> {
  const statement = perAdapter((db) => {
    const row = Object.fromEntries(columns.map((column) => [column, new Slot(column)]))
    const insert = db.insertInto(table as 'run').values(row as never)
    if (kindOf(db) === 'mysql') {
      const sameId = { id: sql<number>`last_insert_id(id)` }
      return (key === undefined ? insert : insert.onDuplicateKeyUpdate(sameId)).compile()
    }
    const inserted =
      key === undefined
        ? insert
        : insert.onConflict((conflict) =>
            conflict
              .column(key as never)
              .doUpdateSet({ [key]: sql.ref(`excluded.${key}`) } as never),
          )
    return inserted.returning('id').compile()
  })
  return async (db, row) => {
    const parameters = columns.map((column) => (row as Record<string, unknown>)[column])
    const query = { ...statement(db), parameters } as CompiledQuery<{ id: number }>
    const { rows, insertId } = await db.executeQuery<{ id: number }>(query)
    return rows[0]?.id ?? Number(insertId)
  }
}
