import { describe, expect, test } from 'vitest'
import { parseServerUri } from '../src/db/server-address.ts'
import { administer, startDatabaseServer } from './database-servers.ts'
import { testDatabase } from './shared-database.ts'
import { startServer, type TestServer } from './start-server.ts'

test.each(testDatabase === 'postgresql' ? [] : [testDatabase])(
  '%s is tried without a standby',
  (kind) => {
    expect(['sqlite', 'mariadb']).toContain(kind)
  },
)

/** Waits until the standby itself, asked past the server, has so many runs. */
async function untilStandbyHas(runs: number, uri: string): Promise<void> {
  const count = 'select count(*)::int as runs from run'
  await expect
    .poll(() => administer(uri, count).catch(String), { timeout: 180_000 })
    .toEqual([{ runs }])
}

async function countRuns({ client }: TestServer): Promise<number> {
  const { runs = [] } = await client.runs.search({ experiment_ids: ['0'] })
  return runs.length
}

describe.each(testDatabase === 'postgresql' ? [testDatabase] : [])('a standby of %s', (kind) => {
  test('answers searches, behind or not; what is asked by id is never behind; and it may go and come', {
    timeout: 360_000,
  }, async () => {
    const primaryUri = process.env['MILLRACE_TEST_DATABASE_URI'] ?? ''
    const standby = await startDatabaseServer(kind, { primaryUri })
    if (standby === undefined) throw new Error(`${kind} is not installed`)
    let copyUri = ''
    try {
      await using server = await startServer((config) => {
        if (config.database.kind !== 'server') throw new Error('a server has an address')
        const { database } = config.database.address
        copyUri = new URL(`/${database}`, standby.adminUri).href
        const replica = { ...parseServerUri(standby.adminUri), database }
        return { ...config, database: { ...config.database, replica } }
      })
      const create = async () => (await server.client.runs.create({ experiment_id: '0' })).run.info
      await create()
      await expect.poll(() => countRuns(server), { timeout: 180_000 }).toBe(1)
      await untilStandbyHas(1, copyUri)

      await administer(standby.adminUri, 'select pg_wal_replay_pause()')
      const { run_id } = await create()
      await server.client.runs.logMetric({ run_id, key: 'm', value: 1, timestamp: 1 })
      expect(await countRuns(server)).toBe(1)
      expect((await server.client.runs.get({ run_id })).run.data.metrics).toHaveLength(1)

      await administer(standby.adminUri, 'select pg_wal_replay_resume()')
      await expect.poll(() => countRuns(server), { timeout: 180_000 }).toBe(2)

      await standby.kill()
      await create()
      expect(await countRuns(server)).toBe(3)

      await standby.restart()
      await untilStandbyHas(3, copyUri)
      await administer(standby.adminUri, 'select pg_wal_replay_pause()')
      await create()
      // The database itself would know of four.
      await expect.poll(() => countRuns(server), { timeout: 180_000 }).toBe(3)
    } finally {
      await standby.stop()
    }
  })
})
