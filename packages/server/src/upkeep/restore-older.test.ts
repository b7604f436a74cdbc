import { join } from 'node:path'
import { sql } from 'kysely'
import { afterEach, expect, test } from 'vitest'
import { emptyServerDatabase, sqliteFile } from '../../test/shared-database.ts'
import { startServer } from '../../test/start-server.ts'
import { fillRun } from '../../test/stored-things.ts'
import { temporaryFolder } from '../../test/temporary-folder.ts'
import { MIGRATIONS, readSchemaState } from '../db/migrate.ts'
import { backUp } from './backup.ts'
import { withDatabase } from './open-database.ts'
import { restore } from './restore.ts'

const LATER = '9000-later'

/** What a later version of this program would bring. */
function addMigration(): void {
  MIGRATIONS[LATER] = async () => ({
    async up(db) {
      await sql`create table later (uuid varchar(64))`.execute(db)
      await sql`insert into later select uuid from run`.execute(db)
    },
  })
}
afterEach(() => {
  delete MIGRATIONS[LATER]
})

test('a backup of an older version is restored with its schema, which is then upgraded with its rows', {
  timeout: 360_000,
}, async () => {
  await using folder = await temporaryFolder()
  await using server = await startServer()
  const { database, settings } = server.config
  const { run_id } = await fillRun(server, '0', 'old')
  const backups = join(folder.path, 'backups')
  await backUp({ folder: backups, database, settings, print() {} })
  addMigration()

  const target = (await emptyServerDatabase()) ?? sqliteFile(join(folder.path, 'target.db'))
  const elsewhere = { ...settings, artifactsDestination: join(folder.path, 'elsewhere') }
  const told: string[] = []
  const print = (line: string) => told.push(line)
  await restore({ folder: backups, database: target, settings: elsewhere, print })

  expect(told.join('\n')).toContain(`The schema was upgraded (${LATER}).`)
  await withDatabase(target, 'read', async (db) => {
    expect((await readSchemaState(db)).missing).toEqual([])
    const { rows } = await sql`select uuid from later`.execute(db)
    expect(rows).toEqual([{ uuid: run_id }])
  })
})

test('a backup of a newer version is refused', { timeout: 360_000 }, async () => {
  await using folder = await temporaryFolder()
  await using server = await startServer()
  const { database, settings } = server.config
  addMigration()
  const newer = (await emptyServerDatabase()) ?? sqliteFile(join(folder.path, 'newer.db'))
  const backups = join(folder.path, 'backups')
  await withDatabase(newer, 'create', async () => {})
  await backUp({ folder: backups, database: newer, settings, print() {} })
  delete MIGRATIONS[LATER]

  const again = restore({ folder: backups, database, settings, print() {} })
  await expect(again).rejects.toThrow(`of a newer Millrace (its schema has ${LATER})`)
})
