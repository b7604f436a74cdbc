import type { FastifyInstance } from 'fastify'
import { sql } from 'kysely'
import type { Database } from '../db/database.ts'

const ANSWER_WITHIN_MS = 2000

/**
 * Whether a load balancer should send requests here. `/health` says that the process lives; `/ready`
 * also that it reaches its database and has not been told to stop.
 */
export class Readiness {
  readonly #database: Database
  #isDraining = false

  constructor(database: Database) {
    this.#database = database
  }

  /** From now on `/ready` answers 503, and every answer asks its client to connect anew. */
  drain(): void {
    this.#isDraining = true
  }

  /** Adds `/ready` and the farewell to connections. */
  mount(app: FastifyInstance, prefixes: readonly string[]): void {
    app.addHook('onSend', async (_request, reply) => {
      if (this.#isDraining) reply.header('connection', 'close')
    })
    for (const prefix of prefixes) {
      app.get(`${prefix}/ready`, async (_request, reply) => {
        const reason = await this.#reasonAgainst()
        reply
          .header('content-type', 'text/plain; charset=utf-8')
          .header('cache-control', 'no-store')
        return reason === undefined ? reply.send('OK') : reply.code(503).send(reason)
      })
    }
  }

  async #reasonAgainst(): Promise<string | undefined> {
    if (this.#isDraining) return 'stopping'
    const { promise: late, reject } = Promise.withResolvers<never>()
    const deadline = setTimeout(() => reject(new Error('late')), ANSWER_WITHIN_MS)
    try {
      await Promise.race([sql`select 1`.execute(this.#database.read), late])
      return undefined
    } catch {
      return 'the database does not answer'
    } finally {
      clearTimeout(deadline)
    }
  }
}
