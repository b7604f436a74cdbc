import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { seededRandom } from '../../test/seeded-random.ts'
import { startServer, type TestServer } from '../../test/start-server.ts'
import { artifactFile, countAllRows, fillRun } from '../../test/stored-things.ts'
import type { DatabaseConfig } from '../config.ts'
import { countOrphanRows } from './orphan-rows.ts'
import { listPending } from './purge-store.ts'

const MAIN = fileURLToPath(new URL('../../../cli/src/main.ts', import.meta.url))
const RUNS = 24
const KILLS = 3

function uriOf(database: DatabaseConfig): string {
  if (database.kind === 'sqlite') return `sqlite:///${database.path}`
  const { kind, user, host, port, database: name } = database.address
  return `${kind}://${user}@${host}:${port}/${name}`
}

/** `millrace gc` in a process of its own, killed when so many lines are out; its exit code. */
async function gc({ config }: TestServer, killAfterLines: number): Promise<number | null> {
  const args = [
    ...['gc', '--backend-store-uri', uriOf(config.database)],
    ...['--artifacts-destination', config.settings.artifactsDestination],
  ]
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (output.split('\n').length > killAfterLines) child.kill('SIGKILL')
    })
  }
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== null && code !== 0) throw new Error(output)
  return code
}

test('gc that is killed at any point loses nothing that is active, and the next one finishes', async () => {
  await using server = await startServer()
  const { client, db } = server
  const kept = await fillRun(server, '0', 'kept')
  const before = await countAllRows(db)
  const { experiment_id } = await client.experiments.create({ name: 'doomed' })
  const doomed: Awaited<ReturnType<typeof fillRun>>[] = []
  for (let i = 0; i < RUNS; i++) doomed.push(await fillRun(server, experiment_id, `run ${i}`))
  await client.experiments.delete({ experiment_id })
  const random = seededRandom(7)

  for (let kill = 0; kill < KILLS; kill++) {
    await gc(server, 1 + random.below(6))

    expect([...(await countOrphanRows(db))]).toEqual([])
    const pending = (await listPending(db)).map(({ name }) => name)
    for (const { run_id, artifact_uri } of doomed) {
      const row = await db.selectFrom('run').select('id').where('uuid', '=', run_id).execute()
      const hasFile = existsSync(artifactFile(server, artifact_uri, 'plots/loss.txt'))
      if (row.length === 1) expect(hasFile, run_id).toBe(true)
      else expect(!hasFile || pending.includes(run_id), run_id).toBe(true)
    }
  }
  expect(await gc(server, Number.POSITIVE_INFINITY)).toBe(0)

  const after = await countAllRows(db)
  const { key_name, metric_latest } = before
  expect({ ...after, key_name, metric_latest }).toEqual(before)
  expect([...(await countOrphanRows(db))]).toEqual([])
  for (const { artifact_uri, model_uri } of doomed) {
    expect(existsSync(artifactFile(server, artifact_uri))).toBe(false)
    expect(existsSync(artifactFile(server, model_uri))).toBe(false)
  }
  expect(existsSync(artifactFile(server, kept.artifact_uri, 'plots/loss.txt'))).toBe(true)
  const { run } = await client.runs.get({ run_id: kept.run_id })
  expect([run.data.metrics?.length, run.data.params?.length]).toEqual([1, 1])
}, 360_000)
