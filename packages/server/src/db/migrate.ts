import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { tableNames } from './dialect.ts'
import type { Schema } from './schema.ts'

/** Every migration in order; the list only grows. Loaded when there is something to migrate. */
export const MIGRATIONS: Record<string, () => Promise<Migration>> = {
  '0001-initial': () => import('./migrations/0001-initial.ts'),
  '0002-witness-and-times': () => import('./migrations/0002-witness-and-times.ts'),
  '0003-run-names': () => import('./migrations/0003-run-names.ts'),
}

/** How the schema of a database compares with what this program needs. */
export interface SchemaState {
  /** Migrations that have run, in order. */
  applied: string[]
  /** Migrations of this program that have not run. */
  missing: string[]
  /** Migrations that have run and that this program does not know. */
  unknown: string[]
}

/** Looks what was migrated; changes nothing. */
export async function readSchemaState(db: Kysely<Schema>): Promise<SchemaState> {
  const known = Object.keys(MIGRATIONS).sort()
  const applied = (await tableNames(db)).has('kysely_migration') ? await readApplied(db) : []
  return {
    applied,
    missing: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  }
}

async function readApplied(db: Kysely<Schema>): Promise<string[]> {
  const rows = await db
    .withTables<{ kysely_migration: { name: string } }>()
    .selectFrom('kysely_migration')
    .select('name')
    .orderBy('name')
    .execute()
  return rows.map(({ name }) => name)
}

/**
 * Brings the schema to this version, or to that of an older program, whose last migration is named;
 * one process at a time. What is newer already stays.
 *
 * @throws Error when a newer program made the schema, or what the failing migration threw
 */
export async function migrate(db: Kysely<Schema>, last?: string): Promise<void> {
  const { missing, unknown } = await readSchemaState(db)
  if (unknown.length > 0) throw newerSchema(unknown)
  if (last === undefined ? missing.length === 0 : !missing.includes(last)) return
  const { Migrator } = await import('kysely/migration')
  const migrator = new Migrator({ db, provider: { getMigrations } })
  const { error } =
    last === undefined ? await migrator.migrateToLatest() : await migrator.migrateTo(last)
  if (error === undefined) return
  // A SQLite file has no lock for this: of two that begin at once, one is done first.
  const { missing: left } = await readSchemaState(db)
  if (last === undefined ? left.length > 0 : left.includes(last)) throw error
}

/** What is wrong with a database that a newer program has migrated. */
export function newerSchema(unknown: readonly string[]): Error {
  return new Error(
    `The database was made or upgraded by a newer Millrace (it has ${unknown.join(', ')}). ` +
      'Install that version; it cannot be downgraded.',
  )
}

async function getMigrations(): Promise<Record<string, Migration>> {
  const loaded: Record<string, Migration> = {}
  for (const [name, load] of Object.entries(MIGRATIONS)) loaded[name] = await load()
  return loaded
}
