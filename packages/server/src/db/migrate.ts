import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import { hasTable } from './dialect.ts'
import type { Schema } from './schema.ts'

/** Every migration in order; the list only grows. Loaded when there is something to migrate. */
const MIGRATIONS: Record<string, () => Promise<Migration>> = {
  '0001-initial': () => import('./migrations/0001-initial.ts'),
}

/** Brings the schema to this version; throws what the failing migration threw. */
export async function migrate(db: Kysely<Schema>): Promise<void> {
  if (await isCurrent(db)) return
  const { Migrator } = await import('kysely/migration')
  const migrator = new Migrator({ db, provider: { getMigrations } })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}

/** Whether exactly these migrations have run, which nearly every start finds. */
async function isCurrent(db: Kysely<Schema>): Promise<boolean> {
  if (!(await hasTable(db, 'kysely_migration'))) return false
  const rows = await db
    .withTables<{ kysely_migration: { name: string } }>()
    .selectFrom('kysely_migration')
    .select('name')
    .orderBy('name')
    .execute()
  return rows.map(({ name }) => name).join() === Object.keys(MIGRATIONS).sort().join()
}

async function getMigrations(): Promise<Record<string, Migration>> {
  const loaded: Record<string, Migration> = {}
  for (const [name, load] of Object.entries(MIGRATIONS)) loaded[name] = await load()
  return loaded
}
