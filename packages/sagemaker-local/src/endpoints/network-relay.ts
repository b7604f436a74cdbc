import { once } from 'node:events'
import { connect, Server } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

/**
 * Leads connections into the network of a server that has one of its own: `node network-relay.ts PORT`,
 * started in that network by `open-relay.ts`. It says when the server listens, is given a socket of the
 * machine's network that listens at the same port, and ends with whoever started it.
 */
const LOOK_MS = 50
const port = Number(process.argv[2])

process.once('disconnect', () => process.exit(0))
process.once('message', (_message, handle) => {
  if (!(handle instanceof Server)) throw new Error('A relay is given a listening socket.')
  handle.on('connection', (outer) => {
    const inner = connect(port, '127.0.0.1')
    inner.pipe(outer).pipe(inner)
    inner.once('error', () => outer.destroy())
    outer.once('error', () => inner.destroy())
  })
})
while (!(await isListening())) await wait(LOOK_MS)
process.send?.('listening')

async function isListening(): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
