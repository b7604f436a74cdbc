import type { Kysely } from 'kysely'
import { MIGRATIONS, migrate } from '../src/db/migrate.ts'
import type { Schema } from '../src/db/schema.ts'
import { parseServerUri } from '../src/db/server-address.ts'
import { connect } from '../src/db/server-database.ts'
import { openSqliteFile, sqliteDialect } from '../src/db/sqlite-dialect.ts'

/**
 * Upgrades a database as far as a migration and dies, as by `kill -9`, before so many statements of
 * that are sent; ends by itself where it has fewer:
 * `node dying-upgrade.ts <uri> <migration> <statements>`
 */
const [uri = '', name = '', statements = ''] = process.argv.slice(2)

let left = Number(statements)
const die = () => void (left-- === 0 && process.kill(process.pid, 'SIGKILL'))

const load = MIGRATIONS[name]
if (load === undefined) throw new Error(`there is no migration ${name}`)
MIGRATIONS[name] = async () => {
  const { up } = await load()
  return {
    async up(db) {
      await up(dyingAfter(db))
      // Only the row that says so is missing then.
      die()
    },
  }
}
await using db = await open()
await migrate(db, name)

async function open(): Promise<Kysely<Schema>> {
  const path = /^sqlite:\/\/\/(.*)$/.exec(uri)?.[1]
  if (path === undefined) return connect(parseServerUri(uri), 3)
  const { Kysely } = await import('kysely')
  const file = openSqliteFile(path, { synchronous: 'full', queryOnly: false })
  return new Kysely<Schema>({ dialect: sqliteDialect(file) })
}

function dyingAfter<Database>(db: Kysely<Database>): Kysely<Database> {
  return db.withPlugin({
    transformQuery({ node }) {
      die()
      return node
    },
    transformResult: async ({ result }) => result,
  })
}
