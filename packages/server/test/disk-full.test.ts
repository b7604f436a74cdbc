import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createClient } from '@millrace/client/client'
import { expect, test } from 'vitest'
import { createAgent, type FuzzAnswer, sendRaw } from './fuzz-client.ts'
import { databasePath, type ServerProcess, startServerProcess } from './server-process.ts'
import { findBrokenInvariants, sqliteFile } from './shared-database.ts'
import { temporaryFolder } from './temporary-folder.ts'

const DISK_BYTES = 6 * 1024 * 1024
const BALLAST_BYTES = 2 * 1024 * 1024

/** Mounts a small file system of its own; undefined where that is not allowed. */
function mountDisk(path: string): Disposable | undefined {
  mkdirSync(path)
  const options = ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', path]
  if (spawnSync('mount', options).status !== 0) return undefined
  return { [Symbol.dispose]: () => void spawnSync('umount', ['--lazy', path]) }
}

test('a full disk answers 503 to writes, answers reads, loses nothing and is got over', async (context) => {
  await using temporary = await temporaryFolder()
  const folder = join(temporary.path, 'disk')
  using disk = mountDisk(folder)
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
      .poll(async () => (await logStep(server, run_id, 5000)).status, { timeout: 15_000 })
      .toBe(200)
    expect(await steps(client, run_id)).toEqual([...told, 5000].sort((a, b) => a - b))
    expect((await put(server, 'small.bin', 1000)).status).toBe(200)
    expect((await server.terminate()).code).toBe(0)
  }
  expect(existsSync(join(folder, 'artifacts', 'big.bin'))).toBe(false)
  expect(await findBrokenInvariants(sqliteFile(databasePath(folder)))).toEqual([])
}, 120_000)

/** Logs until a write is refused; the steps that were acknowledged, and the refusal. */
async function fill(server: ServerProcess, run_id: string) {
  const acknowledged: number[] = []
  for (let step = 0; ; step++) {
    const answer = await logStep(server, run_id, step)
    if (answer.status !== 200) return { steps: acknowledged, refusal: answer }
    acknowledged.push(step)
  }
}

/** One connection for everything: a refused upload must leave it usable. */
const agent = createAgent(1)

/** One step of a metric, with tags that no two requests share. */
function logStep({ port }: ServerProcess, run_id: string, step: number): Promise<FuzzAnswer> {
  const tags = Array.from({ length: 20 }, (_, i) => ({
    key: `t${step}-${i}`,
    value: 'x'.repeat(2000),
  }))
  const metrics = [{ key: 'm', value: step, timestamp: 1, step }]
  return sendRaw(
    port,
    {
      method: 'POST',
      url: '/api/2.0/mlflow/runs/log-batch',
      headers: { 'content-type': 'application/json' },
      body: Buffer.from(JSON.stringify({ run_id, metrics, tags })),
    },
    agent,
  )
}

function put({ port }: ServerProcess, path: string, sizeBytes: number): Promise<FuzzAnswer> {
  const url = `/api/2.0/mlflow-artifacts/artifacts/${path}`
  return sendRaw(port, { method: 'PUT', url, headers: {}, body: Buffer.alloc(sizeBytes) }, agent)
}

async function steps(client: ReturnType<typeof createClient>, run_id: string): Promise<number[]> {
  const { metrics = [] } = await client.metrics.getHistory({ run_id, metric_key: 'm' })
  return metrics.map(({ step }) => Number(step)).sort((a, b) => a - b)
}
