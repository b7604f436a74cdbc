import type { Pool, PoolClient } from 'pg'

const SWEEP_MS = 30_000

/**
 * Connections that were used a moment ago and stay checked out of their pool, whose bookkeeping
 * (a timer and listeners for each time one is taken and given back) is felt where a read takes a
 * fifth of a millisecond. Whoever waits in the pool gets what is given back before anybody else.
 */
export class WarmClients {
  readonly #pool: Pool
  readonly #free: PoolClient[] = []
  readonly #broken = new WeakSet<PoolClient>()
  /** So many were not needed since the last sweep. */
  #leastFree = 0
  readonly #sweeper: NodeJS.Timeout

  constructor(pool: Pool) {
    this.#pool = pool
    pool.on('connect', (client) => client.on('error', () => this.#broken.add(client)))
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref()
  }

  /** One that is free and was not heard to break; undefined when the pool is to be asked. */
  take(): PoolClient | undefined {
    for (;;) {
      const client = this.#free.pop()
      if (client === undefined) return undefined
      this.#leastFree = Math.min(this.#leastFree, this.#free.length)
      if (!this.#broken.has(client)) return client
      client.release(true)
    }
  }

  give(client: PoolClient, isBroken: boolean): void {
    if (isBroken || this.#broken.has(client)) client.release(true)
    else if (this.#pool.waitingCount > 0 || this.#pool.ending) client.release()
    else this.#free.push(client)
  }

  /** Gives all of them back, so that the pool can end. */
  close(): void {
    clearInterval(this.#sweeper)
    for (const client of this.#free.splice(0)) client.release()
  }

  /** Those that nobody needed for a while go to the pool, which closes them in time. */
  #sweep(): void {
    for (const client of this.#free.splice(0, this.#leastFree)) client.release()
    this.#leastFree = this.#free.length
  }
}
