import { createServer } from 'node:net'

/** Below the ports that systems give to outgoing connections. */
const FIRST = 21_000
const COUNT = 8_000
const TRIES = 200

/** A port of loopback that nobody listens at and that is not among those promised to others. */
export async function freePort(taken: Iterable<number>): Promise<number> {
  const promised = new Set(taken)
  for (let tries = 0; tries < TRIES; tries += 1) {
    const port = FIRST + Math.floor(Math.random() * COUNT)
    if (!promised.has(port) && (await isFree(port))) return port
  }
  throw new Error(`No free port was found from ${FIRST} to ${FIRST + COUNT}.`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
