import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@millrace/client/client'
import { expect, test } from 'vitest'
import { type FuzzAnswer, sendRaw } from './fuzz-client.ts'
import { databasePath, type ServerProcess, startServerProcess } from './server-process.ts'
import { findBrokenInvariants, sqliteFile } from './shared-database.ts'
import { agent, fill, logStep, mountDisk, steps } from './small-disk.ts'
import { temporaryFolder } from './temporary-folder.ts'

const DISK_BYTES = 6 * 1024 * 1024
const BALLAST_BYTES = 2 * 1024 * 1024

test('a full disk answers 503 to writes, answers reads, loses nothing and is got over', async (context) => {
  await using temporary = await temporaryFolder()
  const folder = join(temporary.path, 'disk')
  using disk = mountDisk(folder, DISK_BYTES)
  if (disk === undefined) return context.skip('a small file system cannot be mounted here')
  const ballast = join(folder, 'ballast')
  writeFileSync(ballast, Buffer.alloc(BALLAST_BYTES))

  {
    await using server = await startServerProcess({ folder })
    const client = createClient({ baseUrl: server.url })
    const { run } = await client.runs.create({ experiment_id: '0', run_name: 'full' })
    const { run_id } = run.info

    const stored = await fill(server, run_id)
    expect(stored.refusal.status).toBe(503)
    expect(stored.refusal.headers['retry-after']).toBeDefined()
    expect(stored.refusal.body.toString()).toContain('TEMPORARILY_UNAVAILABLE')
    const upload = await put(server, 'big.bin', DISK_BYTES)
    expect([upload.status, upload.headers['retry-after']]).toEqual([503, expect.any(String)])

    // Longer than the pause after which background work would begin.
    for (let i = 0; i < 12; i++) {
      await new Promise((resolve) => setTimeout(resolve, 250))
      expect(await steps(client, run_id)).toEqual(stored.steps)
      expect((await logStep(server, run_id, 10_000 + i)).status).toBeOneOf([200, 503])
    }
    expect(server.ended(), server.output()).toBeUndefined()
    expect((await client.runs.get({ run_id })).run.info.run_name).toBe('full')

    const told = await steps(client, run_id)
    rmSync(ballast)
    await expect
      .poll(async () => (await logStep(server, run_id, 5000)).status, { timeout: 180_000 })
      .toBe(200)
    expect(await steps(client, run_id)).toEqual([...told, 5000].sort((a, b) => a - b))
    expect((await put(server, 'small.bin', 1000)).status).toBe(200)
    expect((await server.terminate()).code).toBe(0)
  }
  expect(existsSync(join(folder, 'artifacts', 'big.bin'))).toBe(false)
  expect(await findBrokenInvariants(sqliteFile(databasePath(folder)))).toEqual([])
}, 360_000)

function put({ port }: ServerProcess, path: string, sizeBytes: number): Promise<FuzzAnswer> {
  const url = `/api/2.0/mlflow-artifacts/artifacts/${path}`
  return sendRaw(port, { method: 'PUT', url, headers: {}, body: Buffer.alloc(sizeBytes) }, agent)
}
