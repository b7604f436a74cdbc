import { type Db, tableNames } from './dialect.ts'

const OURS = 'kysely_migration'

/**
 * Refuses a database that another program keeps its tables in; MLflow's own are named as such.
 * Nothing is changed in it. `where` names the database in the message, without a password.
 */
export async function assertOurs(db: Db, where: string): Promise<void> {
  const tables = await tableNames(db)
  if (tables.size === 0 || tables.has(OURS)) return

  if (tables.has('alembic_version') && tables.has('experiments') && tables.has('runs')) {
    throw new Error(
      `${where} holds the tables of MLflow. Millrace keeps its own and leaves these as they are: ` +
        'start with another --backend-store-uri.',
    )
  }
  throw new Error(
    `${where} holds tables of another program (${[...tables].sort().slice(0, 3).join(', ')}). ` +
      'Start with another --backend-store-uri.',
  )
}
