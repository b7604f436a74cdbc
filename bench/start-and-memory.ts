import { setTimeout as wait } from 'node:timers/promises'
import type { Peer } from './peers.ts'
import { newFolder, removeFolder, startServer, type Usage } from './server-process.ts'

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

/** Starts and stops every server, in turn. */
export async function measureStarts(peers: Peer[], rounds: number): Promise<StartSample[]> {
  const samples: StartSample[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const peer of peers) {
      const folder = newFolder()
      try {
        const first = await startServer(peer, folder)
        await wait(IDLE_MS)
        const idle = first.usage()
        await first.stop()
        const again = await startServer(peer, folder)
        await again.stop()
        const { startMs: firstMs } = first
        samples.push({ peer: peer.name, round, firstMs, againMs: again.startMs, idle })
      } finally {
        removeFolder(folder)
      }
    }
  }
  return samples
}
