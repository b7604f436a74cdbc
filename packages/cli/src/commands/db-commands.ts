import { existsSync } from 'node:fs'
import type { DatabaseConfig } from '@millrace/server/config'
import type { Command } from 'commander'

interface Options {
  backendStoreUri?: string
}

/** Adds `db upgrade`, `db status` and `db check`. */
export function addDbCommands(program: Command): void {
  const db = program.command('db').description("Look after the server's database.")
  const add = (name: string, description: string, run: (database: DatabaseConfig) => unknown) =>
    db
      .command(name)
      .description(description)
      .argument('[uri]', 'database, as in --backend-store-uri of the server')
      .option('--backend-store-uri <uri>', 'the same; default: the environment, as for the server')
      .action(async (uri: string | undefined, options: Options) => {
        await run(await readDatabase(uri ?? options.backendStoreUri))
      })
  add('upgrade', 'Bring the schema to this version. Make a backup first.', upgrade)
  add('status', 'Say what is there and whether its schema is current.', existing(status))
  add('check', 'Look for rows that cannot be; no server may be running on it.', existing(check))
}

/** Asking about a file must not make it. */
function existing(run: (database: DatabaseConfig) => Promise<void>) {
  return async (database: DatabaseConfig) => {
    if (database.kind === 'sqlite' && !existsSync(database.path)) {
      throw new Error(`There is no database at ${database.path}.`)
    }
    await run(database)
  }
}

async function readDatabase(uri: string | undefined): Promise<DatabaseConfig> {
  const { readDatabaseConfig } = await import('@millrace/server/database-config')
  return readDatabaseConfig({ uri }, process.env)
}

async function upgrade(database: DatabaseConfig): Promise<void> {
  const { withDatabase } = await import('@millrace/server/open-for-commands')
  const { describeDatabase } = await import('@millrace/server/config')
  const { assertOurs } = await import('@millrace/server/db/ownership')
  const { migrate, readSchemaState } = await import('@millrace/server/db/migrate')
  await withDatabase(database, async (db) => {
    await assertOurs(db, describeDatabase(database))
    const { missing } = await readSchemaState(db)
    await migrate(db)
    say(
      missing.length === 0
        ? 'The schema is current; nothing was changed.'
        : `Applied ${missing.join(', ')}. The schema is current.`,
    )
  })
}

const COUNTED = ['experiment', 'run', 'registered_model', 'model_version', 'logged_model'] as const

async function status(database: DatabaseConfig): Promise<void> {
  const { withDatabase } = await import('@millrace/server/open-for-commands')
  const { describeDatabase } = await import('@millrace/server/config')
  const { assertOurs } = await import('@millrace/server/db/ownership')
  const { readSchemaState } = await import('@millrace/server/db/migrate')
  await withDatabase(database, async (db) => {
    await assertOurs(db, describeDatabase(database))
    const { applied, missing, unknown } = await readSchemaState(db)
    say(describeDatabase(database))
    if (applied.length === 0) {
      say('It is empty: the first start of a server makes its schema.')
    } else if (unknown.length > 0) {
      say(`Schema: made by a newer Millrace (${unknown.join(', ')}); install that version.`)
    } else {
      say(
        `Schema: ${missing.length === 0 ? 'current' : `${missing.join(', ')} missing; run millrace db upgrade`}`,
      )
      for (const table of COUNTED) {
        const { count } = await db
          .selectFrom(table)
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .executeTakeFirstOrThrow()
        say(`${table.replace('_', ' ')}s: ${count}`)
      }
    }
    if (missing.length + unknown.length > 0) process.exitCode = 1
  })
}

async function check(database: DatabaseConfig): Promise<void> {
  const { withDatabase } = await import('@millrace/server/open-for-commands')
  const { checkDatabase } = await import('@millrace/server/check-database')
  const broken = await withDatabase(database, checkDatabase)
  for (const line of broken) say(line)
  say(broken.length === 0 ? 'Nothing is wrong.' : `${broken.length} things are wrong.`)
  if (broken.length > 0) process.exitCode = 1
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
