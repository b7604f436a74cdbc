import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { parseServerUri } from '../src/db/server-address.ts'
import { withDatabase } from '../src/open-for-commands.ts'
import { createDatabase } from './database-servers.ts'
import { testDatabase } from './shared-database.ts'

const MAIN = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url))

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-start-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

/** Some tests start four programs one after another. */
vi.setConfig({ testTimeout: 120_000 })

function millrace(args: string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 180_000,
  })
  return { status, output: stdout + stderr }
}

// What is the same for every database is tried once.
const unreachable: [string, string][] = [
  ['postgresql://ada:hush@127.0.0.1:1/runs', 'nothing answers there'],
  ['mysql+pymysql://ada:hush@127.0.0.1:1/runs', 'nothing answers there'],
  ['postgresql://ada:hush@no-such-host.invalid/runs', 'no host of that name'],
  ['mysql://ada:hush@no-such-host.invalid/runs', 'no host of that name'],
  ['oracle://ada:hush@127.0.0.1/runs', "kind 'oracle'"],
  ['postgresql://ada:hush@127.0.0.1', 'name a database'],
]
test.each(testDatabase === 'sqlite' ? unreachable : [])(
  'a server at %s does not start, in one line without the password',
  (uri, reason) => {
    const { status, output } = millrace(['server', '--port=0', `--backend-store-uri=${uri}`])

    expect(status).toBe(1)
    expect(output).toContain(reason)
    expect(output).not.toContain('hush')
    expect(output.trim().split('\n')).toHaveLength(1)
  },
)

const onServers = testDatabase === 'sqlite' ? [] : [testDatabase]
describe.each(onServers)('on %s', () => {
  const admin = () => process.env['MILLRACE_TEST_DATABASE_URI'] ?? ''
  const settings = (uri: string) => ({
    kind: 'server' as const,
    address: parseServerUri(uri),
    connectionsMax: 4,
    pendingWritesMax: 1,
  })
  const refusal = (uri: string) => millrace(['server', '--port=0', `--backend-store-uri=${uri}`])

  test('a database that does not exist is named', () => {
    const uri = new URL(admin())
    uri.pathname = '/no_such_database'

    expect(refusal(uri.href)).toMatchObject({
      status: 1,
      output: expect.stringContaining("there is no database 'no_such_database'"),
    })
  })

  test("MLflow's tables are left as they are", async () => {
    const uri = await createDatabase(admin())
    await withDatabase(settings(uri), async (db) => {
      for (const table of ['alembic_version', 'experiments', 'runs']) {
        await sql`create table ${sql.table(table)} (id int)`.execute(db)
      }
    })

    expect(refusal(uri)).toMatchObject({
      status: 1,
      output: expect.stringContaining('holds the tables of MLflow'),
    })
  })

  test('a newer schema is refused, an older one with the command that helps', async () => {
    const uri = await createDatabase(admin())
    expect(millrace(['db', 'upgrade', uri]).status).toBe(0)
    await withDatabase(settings(uri), (db) =>
      sql`update kysely_migration set name = '9999-future' where name like '0003-%'`.execute(db),
    )
    expect(refusal(uri)).toMatchObject({
      status: 1,
      output: expect.stringContaining('newer Millrace'),
    })

    await withDatabase(settings(uri), (db) =>
      sql`update kysely_migration set name = '0000-before' where name like '9999-%'`.execute(db),
    )
    expect(millrace(['db', 'status', uri])).toMatchObject({ status: 1 })
  })

  test('the parts of an address may come from a file', async () => {
    const address = parseServerUri(await createDatabase(admin()))
    const file = join(folder, 'project.env')
    writeFileSync(
      file,
      [
        `MILLRACE_DATABASE_ENGINE=${address.kind}`,
        `MILLRACE_DATABASE_HOST=${address.host}`,
        `MILLRACE_DATABASE_PORT=${address.port}`,
        `MILLRACE_DATABASE_NAME=${address.database}`,
        `MILLRACE_DATABASE_USER=${address.user}`,
      ].join('\n'),
    )

    expect(millrace(['--env-file', file, 'db', 'upgrade'])).toMatchObject({ status: 0 })
    expect(millrace(['--env-file', file, 'db', 'status']).output).toContain('Schema: current')
  })
})
