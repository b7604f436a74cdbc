import { setTimeout as wait } from 'node:timers/promises'
import { inspect } from 'node:util'
import { echo, type Peer } from './peers.ts'
import { call, createExperiment, createRun } from './seeding.ts'
import { type ServerProcess, settle, withServer } from './server-process.ts'
import { storeBytes } from './store.ts'

const BATCHES = 100
const KEYS = 100
const STEPS = 10
/** What a server does with the points of an ended run when it has time. */
const REST_MS = 40_000

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
  const before = await storeBytes(server.folder)
  for (let i = 0; i < BATCHES; i++) {
    await call(server, 'runs/log-batch', { run_id, metrics: batch(i) })
  }
  await call(server, 'runs/update', { run_id, status: 'FINISHED', end_time: 1 })
  await settle(server)
  await wait(REST_MS)
  const points = BATCHES * KEYS * STEPS
  return { points, bytesPerPoint: ((await storeBytes(server.folder)) - before) / points }
}

function batch(index: number) {
  return Array.from({ length: KEYS * STEPS }, (_, i) => {
    const step = index * STEPS + Math.floor(i / KEYS)
    return { key: `m${i % KEYS}`, value: Math.random(), timestamp: 1_750_000_000_000 + step, step }
  })
}
