import { sql } from 'kysely'
import { type Db, kindOf } from '../db/dialect.ts'

/** A table as the database itself describes it. */
export interface CatalogTable {
  name: string
  columns: string[]
  /** Columns of the primary key, in its order. */
  key: string[]
}

/** Tables of the library that migrates; they describe the schema and hold no data of users. */
const NOT_OURS = 'kysely_%'

interface ColumnRow {
  table: string
  column: string
  /** Position in the primary key from 1, or 0. */
  pk: number
}

/** What writers know about their own transactions, which means nothing to anybody else. */
const OF_PROCESSES = 'writer_witness'

/** Every table with our data, by what is there: tables of later migrations are among them. */
export async function listTables(db: Db): Promise<CatalogTable[]> {
  const query = {
    sqlite: sql<ColumnRow>`
      select m.name as "table", i.name as "column", i.pk as pk
      from sqlite_master m, pragma_table_info(m.name) i
      where m.type = 'table' and m.name not like 'sqlite_%' and m.name not like ${NOT_OURS}
      order by m.name, i.cid`,
    postgresql: sql<ColumnRow>`
      select a.relname as "table", c.attname as "column",
        coalesce(array_position(k.conkey, c.attnum), 0) as pk
      from pg_class a
      join pg_attribute c on c.attrelid = a.oid and c.attnum > 0 and not c.attisdropped
      left join pg_constraint k on k.conrelid = a.oid and k.contype = 'p'
      where a.relkind = 'r' and a.relnamespace = current_schema()::regnamespace
        and a.relname not like ${NOT_OURS}
      order by a.relname collate "C", c.attnum`,
    mysql: sql<ColumnRow>`
      select c.table_name as ${sql.ref('table')}, c.column_name as ${sql.ref('column')},
        coalesce(s.seq_in_index, 0) as pk
      from information_schema.columns c
      left join information_schema.statistics s on s.table_schema = c.table_schema
        and s.table_name = c.table_name and s.column_name = c.column_name
        and s.index_name = 'PRIMARY'
      where c.table_schema = database() and c.table_name not like ${NOT_OURS}
      order by c.table_name, c.ordinal_position`,
  }[kindOf(db)]
  const { rows } = await query.execute(db)
  const ours = rows.filter(({ table }) => table !== OF_PROCESSES)
  return [...Map.groupBy(ours, ({ table }) => table)].map(([name, columns]) => ({
    name,
    columns: columns.map(({ column }) => column),
    key: columns
      .filter(({ pk }) => pk > 0)
      .sort((a, b) => a.pk - b.pk)
      .map(({ column }) => column),
  }))
}

interface ReferenceRow {
  child: string
  parent: string
}

/** Names of these tables in an order in which each comes after those that it refers to. */
export async function sortByReferences(db: Db, names: readonly string[]): Promise<string[]> {
  const query = {
    sqlite: sql<ReferenceRow>`
      select m.name as child, f."table" as parent
      from sqlite_master m, pragma_foreign_key_list(m.name) f where m.type = 'table'`,
    postgresql: sql<ReferenceRow>`
      select a.relname as child, b.relname as parent from pg_constraint k
      join pg_class a on a.oid = k.conrelid join pg_class b on b.oid = k.confrelid
      where k.contype = 'f' and a.relnamespace = current_schema()::regnamespace`,
    mysql: sql<ReferenceRow>`
      select table_name as child, referenced_table_name as parent
      from information_schema.key_column_usage
      where table_schema = database() and referenced_table_name is not null`,
  }[kindOf(db)]
  const { rows } = await query.execute(db)
  const parents = Map.groupBy(rows, ({ child }) => child)
  const sorted = new Set<string>()
  const add = (name: string) => {
    for (const { parent } of parents.get(name) ?? []) if (parent !== name) add(parent)
    sorted.add(name)
  }
  for (const name of names) add(name)
  return [...sorted].filter((name) => names.includes(name))
}

/** Runs something in one snapshot of the database, which stays as it is while others write. */
export async function inSnapshot<Result>(
  db: Db,
  run: (db: Db) => Promise<Result>,
): Promise<Result> {
  const begin = {
    sqlite: ['begin'],
    postgresql: ['begin isolation level repeatable read read only'],
    mysql: [
      'set transaction isolation level repeatable read',
      'start transaction with consistent snapshot, read only',
    ],
  }[kindOf(db)]
  return db.connection().execute(async (db) => {
    for (const statement of begin) await sql.raw(statement).execute(db)
    try {
      return await run(db)
    } finally {
      await sql.raw('rollback').execute(db)
    }
  })
}

/** The highest id that a table ever gave out, so that ids of what was purged are not used again. */
export async function readLastId(db: Db, table: string): Promise<number> {
  const query = {
    sqlite: sql<{ n: number }>`select seq as n from sqlite_sequence where name = ${table}`,
    postgresql: sql<{ n: number }>`
      select coalesce(pg_sequence_last_value(pg_get_serial_sequence(${table}, 'id')), 0) as n`,
    mysql: sql<{ n: number }>`
      select coalesce(auto_increment - 1, 0) as n from information_schema.tables
      where table_schema = database() and table_name = ${table}`,
  }[kindOf(db)]
  const { rows } = await query.execute(db)
  return Number(rows[0]?.n ?? 0)
}

/** Has a table go on giving out ids above `last` and above what it holds. */
export async function continueIds(db: Db, table: string, last: number): Promise<void> {
  const { rows } = await sql<{ n: number | null }>`
    select max(id) as n from ${sql.table(table)}`.execute(db)
  const next = Math.max(last, Number(rows[0]?.n ?? 0)) + 1
  const kind = kindOf(db)
  if (kind === 'postgresql') {
    await sql`select setval(pg_get_serial_sequence(${table}, 'id'), ${next}, false)`.execute(db)
  }
  if (kind === 'mysql') {
    await sql`alter table ${sql.table(table)} auto_increment = ${sql.lit(next)}`.execute(db)
  }
  if (kind === 'sqlite') {
    await sql`update sqlite_sequence set seq = ${next - 1} where name = ${table}`.execute(db)
  }
}
