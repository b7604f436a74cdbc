import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { ConnectionLost } from './pooled-driver.ts'
import type { ServerAddress } from './server-address.ts'

const ANSWER_LIMIT_MS = 5000
/** PostgreSQL's `SSLRequest`, which is answered by one letter: `S` for yes, `N` for no. */
const REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/**
 * The address with TLS where it is preferred and the server offers it, as libpq does by default.
 *
 * @throws ConnectionLost when the server cannot be asked
 */
export async function settleTls(address: ServerAddress): Promise<ServerAddress> {
  const { prefersTls, ...settled } = address
  if (!prefersTls || !(await offersTls(address))) return settled
  const checkServerIdentity = () => undefined
  return {
    ...settled,
    tls: { rejectUnauthorized: false, verifyIdentity: false, checkServerIdentity },
  }
}

async function offersTls({ host, port }: ServerAddress): Promise<boolean> {
  const socket = connect({ host, port, timeout: ANSWER_LIMIT_MS })
  try {
    return (await askForTls(socket)) === 'S'
  } catch (error) {
    throw new ConnectionLost(error instanceof Error ? error : new Error(String(error)))
  } finally {
    socket.destroy()
  }
}

async function askForTls(socket: Socket): Promise<string> {
  socket.on('timeout', () => socket.destroy(new Error('the server says nothing')))
  await once(socket, 'connect')
  socket.write(REQUEST)
  for await (const answer of socket as AsyncIterable<Buffer>) return answer.toString('latin1', 0, 1)
  return ''
}
