import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { createApp } from './app.ts'
import { checkStores } from './artifacts/check-stores.ts'
import type { ServerConfig } from './config.ts'
import type { PlaneAddress } from './http/sagemaker-proxy.ts'

/** A server that listens. */
export interface RunningServer {
  /** Where it is reached, with the static prefix and without a slash at the end. */
  url: string
  /** Lets the pages ask a control plane, for which the settings must have a place. */
  linkPlane(address: PlaneAddress): void
  /** Is not ready for `drainSeconds`, finishes the requests under way, then closes everything. */
  close(): Promise<void>
}

/**
 * Tries the artifact stores, opens the database and listens.
 *
 * @throws Error saying what to do when a store cannot be used or the port is taken
 */
export async function serve(config: ServerConfig): Promise<RunningServer> {
  await checkStores(config.settings)
  const app = await createApp(config)
  try {
    await app.http.listen({ host: config.host, port: config.port, backlog: 1024 })
  } catch (error) {
    await app.close()
    throw toAdvice(error, config)
  }
  const { port } = app.http.server.address() as AddressInfo
  const host = config.host.includes(':') ? `[${config.host}]` : config.host
  return {
    url: `http://${host}:${port}${config.settings.staticPrefix}`,
    linkPlane(address) {
      app.plane.address = address
    },
    async close() {
      app.drain()
      if (config.drainSeconds > 0) await wait(config.drainSeconds * 1000)
      await app.close()
    },
  }
}

function toAdvice(error: unknown, { host, port }: ServerConfig): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'EADDRINUSE') {
    const airPlay =
      port === 5000 && process.platform === 'darwin' ? ' (on macOS AirPlay may hold 5000)' : ''
    return new Error(`Port ${port} of ${host} is taken${airPlay}. Choose another with --port.`)
  }
  if (code === 'EACCES') return new Error(`Port ${port} of ${host} may not be used by this user.`)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new Error(`There is no address '${host}' on this machine.`)
  }
  return error
}
