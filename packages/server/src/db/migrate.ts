import type { Kysely } from 'kysely'
import { type Migration, type MigrationProvider, Migrator } from 'kysely/migration'
import type { Schema } from './schema.ts'

/** Every migration in order; the list only grows. Loaded when there is something to migrate. */
const migrations: MigrationProvider = {
  async getMigrations(): Promise<Record<string, Migration>> {
    return { '0001-initial': await import('./migrations/0001-initial.ts') }
  },
}

/** Brings the schema to this version; throws what the failing migration threw. */
export async function migrate(db: Kysely<Schema>): Promise<void> {
  const migrator = new Migrator({ db, provider: migrations })
  const { error } = await migrator.migrateToLatest()
  if (error !== undefined) throw error
}
