import { sql } from 'kysely'
import type { Db } from '../db/dialect.ts'
import { LOGGED_MODEL_TABLES, RUN_TABLES } from './purge-store.ts'

const OWNED = [
  ...RUN_TABLES.map((table) => ({ table, column: 'run', owner: 'run' })),
  ...LOGGED_MODEL_TABLES.map((table) => ({ table, column: 'model', owner: 'logged_model' })),
]

type Owned = (typeof OWNED)[number]

function isOwnerless({ table, column, owner }: Owned) {
  const key = sql.ref(`${table}.${column}`)
  return sql`not exists (select 1 from ${sql.table(owner)} where ${sql.ref(`${owner}.id`)} = ${key})`
}

/** How many rows of each table name a run or logged model that is gone. */
export async function countOrphanRows(db: Db): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const owned of OWNED) {
    const { rows } = await sql<{ n: number }>`
      select count(*) as n from ${sql.table(owned.table)} where ${isOwnerless(owned)}`.execute(db)
    const n = Number(rows[0]?.n ?? 0)
    if (n > 0) counts.set(owned.table, n)
  }
  return counts
}

/** Deletes them, and says how many they were. */
export async function deleteOrphanRows(db: Db): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (const owned of OWNED) {
    const { numAffectedRows = 0n } = await sql`
      delete from ${sql.table(owned.table)} where ${isOwnerless(owned)}`.execute(db)
    if (numAffectedRows > 0n) counts.set(owned.table, Number(numAffectedRows))
  }
  return counts
}
