import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { describe, expect, test, vi } from 'vitest'
import type { DatabaseConfig } from '../src/config.ts'
import { type Db, kindOf } from '../src/db/dialect.ts'
import { migrate, readSchemaState } from '../src/db/migrate.ts'
import { parseServerUri } from '../src/db/server-address.ts'
import { withDatabase } from '../src/open-for-commands.ts'
import { insertTestExperiment } from '../src/search/test-rows.ts'
import { backUp } from '../src/upkeep/backup.ts'
import { withDatabase as withOurs } from '../src/upkeep/open-database.ts'
import { restore } from '../src/upkeep/restore.ts'
import { createDatabase } from './database-servers.ts'
import { findBrokenInvariants, sqliteFile, testDatabase } from './shared-database.ts'
import { mountDisk } from './small-disk.ts'
import { startServer, type TestServer } from './start-server.ts'
import { countAllRows, fillRun } from './stored-things.ts'
import { temporaryFolder } from './temporary-folder.ts'

const MAIN = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url))
const DYING = join(import.meta.dirname, 'dying-upgrade.ts')
const DISK_BYTES = 24 * 1024 * 1024
const LATER = ['0002-witness-and-times', '0003-run-names']

vi.setConfig({ testTimeout: 180_000 })

/** Whatever version 0001 made a database of, in a state that its program would leave it in. */
async function downgrade(database: DatabaseConfig): Promise<void> {
  await withDatabase(database, async (db) => {
    await sql`drop table writer_witness`.execute(db)
    for (const column of ['min_ts', 'max_ts']) {
      await db.schema.alterTable('metric_chunk').dropColumn(column).execute()
    }
    const ended = kindOf(db) === 'mysql' ? 'run_by_end' : 'run_ended'
    for (const index of [ended, 'run_by_status', 'run_by_name']) {
      const drop = db.schema.dropIndex(index)
      await (kindOf(db) === 'mysql' ? drop.on('run') : drop).execute()
    }
    if (kindOf(db) === 'sqlite') {
      await sql`drop index metric_tail_run`.execute(db)
      await sql`create index metric_tail_run on metric_tail (run, id)`.execute(db)
      await sql`
        create index metric_tail_dirty on metric_tail (experiment, run) where folded = 0`.execute(
        db,
      )
    }
    await sql`delete from kysely_migration where name in (${sql.join(LATER)})`.execute(db)
  })
}

/** An empty database, and how the command line and `dying-upgrade.ts` are told of it. */
async function emptyDatabase(folder: string): Promise<{ database: DatabaseConfig; uri: string }> {
  const adminUri = process.env['MILLRACE_TEST_DATABASE_URI']
  if (adminUri === undefined) {
    const path = join(folder, 'old.db')
    return { database: sqliteFile(path), uri: `sqlite:///${path}` }
  }
  const uri = await createDatabase(adminUri)
  const address = parseServerUri(uri)
  return { database: { kind: 'server', address, connectionsMax: 8, pendingWritesMax: 100 }, uri }
}

/** Runs a program to its end, or to its first line. */
async function run(args: string[]): Promise<{ ended: number | string | null; output: string }> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const chunks: Buffer[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { ended: code ?? signal, output: Buffer.concat(chunks).toString() }
}

/** Of the tables that background work of a server leaves as they are. */
async function countRows(db: Db): Promise<Record<string, number>> {
  const counts = Object.entries(await countAllRows(db))
  return Object.fromEntries(counts.filter(([table]) => !/^metric_|^run_doc$/.test(table)))
}

/** How fresh points are indexed; nothing but where it has ever been otherwise. */
async function tailIndexes(db: Db): Promise<unknown[]> {
  if (kindOf(db) !== 'sqlite') return []
  const indexes = sql`
    select name, replace(sql, '"', '') as sql from sqlite_master
    where tbl_name = 'metric_tail' and type = 'index' order by name`
  return (await indexes.execute(db)).rows
}

const readRun = (server: TestServer, run_id: string) => server.client.runs.get({ run_id })

test('a database of the first release is upgraded with all that is in it', async () => {
  await using old = await startServer()
  const { run_id } = await fillRun(old, '0', 'old')
  const told = await readRun(old, run_id)
  const rows = await countRows(old.db)
  const indexes = await tailIndexes(old.db)
  await downgrade(old.config.database)

  const states = await Promise.all(
    Array.from({ length: 10 }, () =>
      withDatabase(old.config.database, async (db) => {
        await migrate(db)
        return readSchemaState(db)
      }),
    ),
  )

  expect(states.map(({ missing, unknown }) => [...missing, ...unknown])).toEqual(
    Array.from({ length: 10 }, () => []),
  )
  expect(await countRows(old.db)).toEqual(rows)
  expect(await tailIndexes(old.db)).toEqual(indexes)
  await using again = await startServer((config) => ({ ...config, database: old.config.database }))
  expect(await readRun(again, run_id)).toEqual(told)
  await again.client.registeredModels.create({ name: 'after' })
  await again.close()
  expect(await findBrokenInvariants(old.config.database)).toEqual([])
})

test('a backup can be made before the upgrade, and is restored into what it is upgraded to', async () => {
  await using folder = await temporaryFolder()
  await using old = await startServer()
  const { run_id } = await fillRun(old, '0', 'old')
  const rows = await countRows(old.db)
  await downgrade(old.config.database)
  const backups = join(folder.path, 'backups')
  const { settings } = old.config
  await backUp({ folder: backups, database: old.config.database, settings, print() {} })

  const { database } = await emptyDatabase(folder.path)
  const elsewhere = { ...settings, artifactsDestination: join(folder.path, 'elsewhere') }
  await restore({ folder: backups, database, settings: elsewhere, print() {} })

  await withOurs(database, 'read', async (db) => {
    expect(await countRows(db)).toEqual(rows)
    const found = await db.selectFrom('run').select('uuid').execute()
    expect(found.map(({ uuid }) => uuid)).toEqual([run_id])
  })
})

test('an upgrade that was killed between any two statements is finished by the next one', async () => {
  await using folder = await temporaryFolder()
  const { database, uri } = await emptyDatabase(folder.path)
  await withDatabase(database, (db) => migrate(db, '0001-initial'))
  for (const [index, name] of LATER.entries()) {
    let statements = 0
    let ended: number | string | null = 'SIGKILL'
    for (; ended === 'SIGKILL'; statements++) {
      const { missing } = await withDatabase(database, readSchemaState)
      expect(missing).toEqual(LATER.slice(index))
      const dying = await run([DYING, uri, name, String(statements)])
      ended = dying.ended
      expect(ended, dying.output).toBeOneOf([0, 'SIGKILL'])
    }
    expect(statements).toBeGreaterThan(2)
  }

  const { missing } = await withDatabase(database, readSchemaState)
  expect(missing).toEqual([])
  expect(await findBrokenInvariants(database)).toEqual([])
})

// Where the server's own disk is full, `database-load-disk.test.ts` looks.
test.for(testDatabase === 'sqlite' ? [testDatabase] : [])(
  'an upgrade of %s on a full disk says so, leaves all as it was, and is done once there is room',
  async (_database, context) => {
    await using folder = await temporaryFolder()
    const place = join(folder.path, 'disk')
    using disk = mountDisk(place, DISK_BYTES)
    if (disk === undefined) return context.skip('a small file system cannot be mounted here')
    const { database, uri } = await emptyDatabase(place)
    await withDatabase(database, async (db) => {
      await migrate(db, '0001-initial')
      await insertTestExperiment(db, { id: 1, name: 'many' })
      await sql`
        insert into run (uuid, experiment, name, user_id, status, start_time, stage, artifact_uri)
        with recursive number(n) as (select 1 union all select n + 1 from number where n < 20000)
        select printf('%032d', n), 1, 'r', 'u', 4, n, 0, 'a' from number`.execute(db)
    })
    const count = () => withDatabase(database, (db) => sql`select count(*) n from run`.execute(db))
    const told = (await count()).rows
    const ballast = join(place, 'ballast')
    const { bavail, bsize } = statfsSync(place)
    writeFileSync(ballast, Buffer.alloc((bavail - 16) * bsize))

    const refused = await run([MAIN, 'db', 'upgrade', uri])

    expect(refused.ended).toBe(1)
    expect(refused.output).toMatch(/disk is full/)
    expect(refused.output).not.toMatch(/^ +at /m)
    rmSync(ballast)
    expect((await withDatabase(database, readSchemaState)).missing).toEqual(LATER)
    expect((await count()).rows).toEqual(told)
    expect(await run([MAIN, 'db', 'upgrade', uri])).toMatchObject({ ended: 0 })
    expect((await withDatabase(database, readSchemaState)).missing).toEqual([])
  },
)

// A SQLite file is upgraded when its only server starts.
describe.each(testDatabase === 'sqlite' ? [] : [testDatabase])('servers on %s', () => {
  test('do not start on an older schema, and say what brings it to theirs', async () => {
    await using folder = await temporaryFolder()
    const { database, uri } = await emptyDatabase(folder.path)
    await withDatabase(database, (db) => migrate(db, '0001-initial'))
    const start = () =>
      startServer((config) => ({ ...config, database })).then(
        (server) => server.close().then(() => 'started'),
        (error: Error) => error.message,
      )

    const refusals = await Promise.all(Array.from({ length: 10 }, start))
    for (const refusal of refusals) {
      expect(refusal).toContain(`older than this program (${LATER.join(', ')} missing)`)
      expect(refusal).toContain('millrace db upgrade')
    }
    const { missing } = await withDatabase(database, readSchemaState)
    expect(missing).toEqual(LATER)

    expect(await run([MAIN, 'db', 'status', uri])).toMatchObject({
      ended: 1,
      output: expect.stringContaining(LATER.join(', ')),
    })
    expect(await run([MAIN, 'db', 'upgrade', uri])).toMatchObject({
      ended: 0,
      output: expect.stringContaining(`Applied ${LATER.join(', ')}`),
    })
    expect(await start()).toBe('started')
  })
})
