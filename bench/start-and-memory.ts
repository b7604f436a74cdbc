import { setTimeout as wait } from 'node:timers/promises'
import { inspect } from 'node:util'
import { newFolder, removeFolder } from './folders.ts'
import type { Peer } from './peers.ts'
import { startServer, type Usage } from './server-process.ts'

const IDLE_MS = 5000

/** Start and rest of one server. */
export interface StartSample {
  peer: string
  round: number
  /** To the first 200, on an empty folder: the schema is made. */
  firstMs: number
  /** To the first 200, on what the first start made. */
  againMs: number
  /** Five seconds after the first 200. */
  idle: Usage
}

/** Starts and stops every server, in turn; tells of a start that failed and goes on. */
export async function measureStarts(
  peers: Peer[],
  rounds: number,
  say: (text: string) => void,
): Promise<StartSample[]> {
  const samples: StartSample[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const peer of peers) {
      const folder = newFolder()
      try {
        samples.push({ peer: peer.name, round, ...(await measureStart(peer, folder)) })
      } catch (error) {
        say(inspect(error))
      } finally {
        removeFolder(folder)
      }
    }
  }
  return samples
}

async function measureStart(peer: Peer, folder: string) {
  const first = await startServer(peer, folder)
  await wait(IDLE_MS)
  const idle = first.usage()
  await first.stop()
  const again = await startServer(peer, folder)
  await again.stop()
  return { firstMs: first.startMs, againMs: again.startMs, idle }
}
