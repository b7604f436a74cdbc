import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { inspect } from 'node:util'
import { echo, type Peer } from './peers.ts'
import { call, createExperiment, createRun } from './seeding.ts'
import { type ServerProcess, settle, withServer } from './server-process.ts'

const BATCHES = 100
const KEYS = 100
const STEPS = 10

/** What metric points take on disk. */
export interface SpaceSample {
  peer: string
  points: number
  bytesPerPoint: number
}

/**
 * Logs 100,000 points of random doubles over 100 keys into one run, ends it, and reads the growth;
 * tells of servers that fail.
 */
export async function measureSpace(
  peers: Peer[],
  say: (text: string) => void,
): Promise<SpaceSample[]> {
  const samples: SpaceSample[] = []
  for (const peer of peers) {
    if (peer.name === echo.name) continue
    try {
      await withServer(peer, async (server) => {
        samples.push({ peer: peer.name, ...(await measurePoints(server)) })
      })
    } catch (error) {
      say(inspect(error))
    }
  }
  return samples
}

async function measurePoints(server: ServerProcess) {
  const run_id = await createRun(server, await createExperiment(server, 'bench-space'), 0)
  await settle(server)
  const before = usedBytes(server.folder)
  for (let i = 0; i < BATCHES; i++) {
    await call(server, 'runs/log-batch', { run_id, metrics: batch(i) })
  }
  await call(server, 'runs/update', { run_id, status: 'FINISHED', end_time: 1 })
  await settle(server)
  const points = BATCHES * KEYS * STEPS
  return { points, bytesPerPoint: (usedBytes(server.folder) - before) / points }
}

function batch(index: number) {
  return Array.from({ length: KEYS * STEPS }, (_, i) => {
    const step = index * STEPS + Math.floor(i / KEYS)
    return { key: `m${i % KEYS}`, value: Math.random(), timestamp: 1_750_000_000_000 + step, step }
  })
}

/** Pages in use in the server's database, those in its write-ahead log included. */
function usedBytes(folder: string): number {
  const file = readdirSync(folder).find((name) => name.endsWith('.db'))
  const sqlite = new DatabaseSync(join(folder, file ?? ''), { readOnly: true, timeout: 5000 })
  const read = (pragma: string) => Number(Object.values(sqlite.prepare(pragma).get() ?? {})[0])
  const pages = read('PRAGMA page_count') - read('PRAGMA freelist_count')
  const bytes = pages * read('PRAGMA page_size')
  sqlite.close()
  return bytes
}
