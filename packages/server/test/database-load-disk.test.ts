import { chmodSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@millrace/client/client'
import { describe, expect, test } from 'vitest'
import { parseServerUri } from '../src/db/server-address.ts'
import { createDatabase, startDatabaseServer } from './database-servers.ts'
import { startServerProcess } from './server-process.ts'
import { findBrokenInvariants, testDatabase } from './shared-database.ts'
import { fill, logStep, mountDisk, steps } from './small-disk.ts'
import { temporaryFolder } from './temporary-folder.ts'

const DISK_BYTES = 400 * 1024 * 1024
/** What is left to the database when the writing begins. */
const FREE_BYTES = 4 * 1024 * 1024
/** Both keep less for their logs than they do by default, which would be half of the disk. */
const SMALL = {
  postgresql: ['-c', 'min_wal_size=32MB', '-c', 'max_wal_size=32MB'],
  mariadb: ['--innodb-log-file-size=8M'],
}

// Of SQLite, whose file is on the server's own disk, `disk-full.test.ts` tells.
test.each(testDatabase === 'sqlite' ? ['sqlite'] : [])('%s has no server with a disk', () => {
  expect(process.env['MILLRACE_TEST_DATABASE_URI']).toBeUndefined()
})

describe.each(testDatabase === 'sqlite' ? [] : [testDatabase])('the disk of %s', (kind) => {
  test('when it is full, writes are answered 503, what was stored stays, and space is enough to go on', {
    timeout: 240_000,
  }, async (context) => {
    await using temporary = await temporaryFolder()
    // Whom the database runs as has to get there.
    chmodSync(temporary.path, 0o755)
    const folder = join(temporary.path, 'disk')
    using disk = mountDisk(folder, DISK_BYTES)
    if (disk === undefined) return context.skip('a small file system cannot be mounted here')
    const database = await startDatabaseServer(kind, { folder, isDurable: true, args: SMALL[kind] })
    if (database === undefined) throw new Error(`${kind} is not installed`)
    try {
      const uri = await createDatabase(database.adminUri)
      await using server = await startServerProcess({
        folder: join(temporary.path, 'server'),
        args: [`--backend-store-uri=${uri}`],
      })
      const client = createClient({ baseUrl: server.url })
      const { run_id } = (await client.runs.create({ experiment_id: '0' })).run.info
      const ballast = join(folder, 'ballast')
      const { bavail, bsize } = statfsSync(folder)
      writeFileSync(ballast, Buffer.alloc(bavail * bsize - FREE_BYTES))

      const stored = await fill(server, run_id)
      expect(stored.refusal.body.toString()).toContain('TEMPORARILY_UNAVAILABLE')
      expect([stored.refusal.status, stored.refusal.headers['retry-after']]).toEqual([503, '1'])
      expect(server.ended(), server.output()).toBeUndefined()

      rmSync(ballast)
      // Without space for its log PostgreSQL ends, and whoever watches over it starts it again.
      await database.restart()
      const last = 1_000_000
      await expect
        .poll(async () => (await logStep(server, run_id, last)).status, { timeout: 180_000 })
        .toBe(200)
      const there = new Set(await steps(client, run_id))
      expect([...stored.steps, last].filter((step) => !there.has(step))).toEqual([])
      expect((await server.terminate()).code).toBe(0)
      const address = parseServerUri(uri)
      const config = { kind: 'server' as const, address, connectionsMax: 4, pendingWritesMax: 1 }
      expect(await findBrokenInvariants(config)).toEqual([])
    } finally {
      await database.stop()
    }
  })
})
