import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Between a server and its database: what carries a commit can break just before it, or just after. */
export interface CommitWire extends AsyncDisposable {
  port: number
  /** What is lost of the next commits: the `commit` itself, or the `answer` to one that was done. */
  loses: 'commit' | 'answer' | undefined
  /** How many more commits lose that. */
  times: number
}

export async function startCommitWire(targetPort: number): Promise<CommitWire> {
  const sockets = new Set<Socket>()
  const wire: Pick<CommitWire, 'loses' | 'times'> = { loses: undefined, times: 0 }
  const server = createServer((socket) => {
    const target = connect(targetPort, '127.0.0.1')
    let losesAnswer = false
    const end = () => {
      socket.destroy()
      target.destroy()
    }
    for (const each of [socket, target]) {
      sockets.add(each)
      each.setNoDelay()
      each.on('error', end)
      each.on('close', () => {
        sockets.delete(each)
        end()
      })
    }
    socket.on('data', (piece: Buffer) => {
      if (
        wire.times > 0 &&
        wire.loses !== undefined &&
        /commit\b/i.test(piece.toString('latin1'))
      ) {
        wire.times -= 1
        if (wire.loses === 'commit') return end()
        losesAnswer = true
      }
      target.write(piece)
    })
    target.on('data', (piece: Buffer) => (losesAnswer ? end() : socket.write(piece)))
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
