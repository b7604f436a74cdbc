import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { Random } from './seeded-random.ts'

/** A connection that breaks, or breaks within what it carries, or carries nothing for a while. */
export const WIRE_FAULTS = ['broken', 'cut', 'stalled'] as const

export interface FaultyWire extends AsyncDisposable {
  port: number
  counts: Record<(typeof WIRE_FAULTS)[number], number>
  /** Share of pieces that something happens to; 0 is a wire without faults. */
  share: number
}

interface Options {
  targetPort: number
  random: Random
  share: number
  stallMaxMs: number
}

/** What lies between a server and its database: bytes, passed on in pieces as they come. */
export async function startFaultyWire(options: Options): Promise<FaultyWire> {
  const { targetPort, random, stallMaxMs } = options
  const sockets = new Set<Socket>()
  const counts = { broken: 0, cut: 0, stalled: 0 }
  const wire = { share: options.share, counts }
  const breakBoth = (from: Socket, to: Socket) => {
    from.resetAndDestroy()
    to.resetAndDestroy()
  }
  const carry = async (from: Socket, to: Socket) => {
    for await (const piece of from as AsyncIterable<Buffer>) {
      const fault = random.chance(wire.share) ? random.pick(WIRE_FAULTS) : undefined
      if (fault !== undefined) counts[fault]++
      if (fault === 'stalled') await wait(random.below(stallMaxMs))
      if (fault === 'broken') return breakBoth(from, to)
      if (fault === 'cut') {
        to.write(piece.subarray(0, piece.length / 2), () => breakBoth(from, to))
        return
      }
      if (!to.write(piece)) await once(to, 'drain')
    }
    to.end()
  }
  const server = createServer((socket) => {
    const target = connect(targetPort, '127.0.0.1')
    for (const [from, to] of [
      [socket, target],
      [target, socket],
    ] as const) {
      sockets.add(from)
      from.setNoDelay()
      from.on('close', () => sockets.delete(from))
      carry(from, to).catch(() => breakBoth(from, to))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return Object.assign(wire, {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}
