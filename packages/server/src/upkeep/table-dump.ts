import { createHash } from 'node:crypto'
import { type Expression, type SqlBool, sql } from 'kysely'
import { type Db, kindOf } from '../db/dialect.ts'
import type { CatalogTable } from './database-catalog.ts'

/**
 * Rows as lines of text that are the same whatever the database: a JSON array of the columns' values,
 * rows in the order of the primary key. An integer beyond 2^53 is `{"i": "…"}`, bytes are
 * `{"b": "<base64>"}`.
 */
export type Cell = string | number | bigint | null | Uint8Array

/** What a dumped table is checked by. */
export interface TableDigest {
  rows: number
  bytes: number
  /** Of the lines with their line feeds, lower-case hex. */
  sha256: string
}

const INT64_MIN = -(2 ** 63)
const ROWS_PER_PAGE = 2000
/** Rows with bytes can be some hundred kilobytes each. */
const BLOBS_PER_PAGE = 100

/** Lines of a table, a page of rows at a time, as text; ends with what they are checked by. */
export async function* dumpTable(
  db: Db,
  table: CatalogTable,
  columns: readonly string[] = table.columns,
): AsyncGenerator<string, TableDigest, undefined> {
  const hash = createHash('sha256')
  const digest = { rows: 0, bytes: 0 }
  const key = table.key.length > 0 ? table.key : table.columns
  const limit = columns.includes('data') ? BLOBS_PER_PAGE : ROWS_PER_PAGE
  let after: Cell[] | undefined
  for (;;) {
    const rows = await readPage(db, table.name, { columns, key, after, limit })
    const text = rows.map((row) => `${encodeRow(columns.map((column) => row[column]))}\n`).join('')
    if (text !== '') {
      hash.update(text)
      digest.rows += rows.length
      digest.bytes += Buffer.byteLength(text)
      yield text
    }
    const last = rows.at(-1)
    if (last === undefined || rows.length < limit) break
    after = key.map((column) => last[column] ?? null)
  }
  return { ...digest, sha256: hash.digest('hex') }
}

interface Page {
  columns: readonly string[]
  key: readonly string[]
  after: readonly Cell[] | undefined
  limit: number
}

async function readPage(db: Db, table: string, { columns, key, after, limit }: Page) {
  const list = sql.join([...new Set([...columns, ...key])].map((column) => sql.ref(column)))
  // With a parameter MySQL answers in binary, in which doubles are exact.
  const condition = after ? isAfter(db, key, after) : sql<SqlBool>`1 = ${1}`
  const order = sql.join(key.map((column) => sql.ref(column)))
  const { rows } = await sql<Record<string, Cell>>`
    select ${list} from ${sql.table(table)} where ${condition}
    order by ${order} limit ${sql.lit(limit)}`.execute(db)
  return rows
}

/** MySQL finds its place in an index only when the comparison is spelt out. */
function isAfter(db: Db, key: readonly string[], after: readonly Cell[]): Expression<SqlBool> {
  if (kindOf(db) !== 'mysql') {
    const columns = sql.join(key.map((column) => sql.ref(column)))
    return sql<SqlBool>`(${columns}) > (${sql.join([...after])})`
  }
  const cases = key.map((column, index) => {
    const equal = key.slice(0, index).map((before, i) => sql`${sql.ref(before)} = ${after[i]}`)
    return sql`(${sql.join([...equal, sql`${sql.ref(column)} > ${after[index]}`], sql` and `)})`
  })
  return sql<SqlBool>`(${sql.join(cases, sql` or `)})`
}

/** A row as one line, without the line feed. */
export function encodeRow(cells: readonly (Cell | undefined)[]): string {
  return JSON.stringify(cells, function encode(this: unknown, key: string, value: unknown) {
    // A `Buffer` has become an object by the time it is `value`.
    const cell = (this as Record<string, unknown>)[key]
    // Node gives this one integer of SQLite as a number; as text it is exact in either kind of column.
    if (value === INT64_MIN) return { i: BigInt(INT64_MIN).toString() }
    if (cell instanceof Uint8Array) return { b: Buffer.from(cell).toString('base64') }
    return typeof value === 'bigint' ? { i: value.toString() } : value
  })
}

/** The cells of a line. */
export function decodeRow(line: string): Cell[] {
  return (JSON.parse(line) as (string | number | null | { i: string } | { b: string })[]).map(
    (cell) => {
      if (typeof cell !== 'object' || cell === null) return cell
      return 'i' in cell ? BigInt(cell.i) : Buffer.from(cell.b, 'base64')
    },
  )
}
