import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

const CHECK_EVERY_MS = 100

/** A load balancer for tests: new connections go round the targets whose `/ready` answers 200. */
export interface Balancer extends AsyncDisposable {
  port: number
  /** Ports of the servers behind it; may change at any time. */
  targets: number[]
}

export async function startBalancer(targets: number[]): Promise<Balancer> {
  const ready = new Set<number>(targets)
  const sockets = new Set<Socket>()
  let isClosed = false
  let turn = 0
  const balancer = { targets }
  const watch = async () => {
    while (!isClosed) {
      for (const port of balancer.targets) {
        const isReady = await fetch(`http://127.0.0.1:${port}/ready`).then(
          ({ ok }) => ok,
          () => false,
        )
        if (isReady) ready.add(port)
        else ready.delete(port)
      }
      await wait(CHECK_EVERY_MS)
    }
  }
  const watching = watch()
  const server = createServer((socket) => {
    const open = balancer.targets.filter((port) => ready.has(port))
    const port = open[turn++ % open.length]
    if (port === undefined) return socket.destroy()
    const upstream = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [socket, upstream],
      [upstream, socket],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => sockets.delete(from))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return Object.assign(balancer, {
    port: typeof address === 'object' && address ? address.port : 0,
    async [Symbol.asyncDispose]() {
      isClosed = true
      for (const socket of sockets) socket.destroy()
      server.close()
      await watching
    },
  })
}
