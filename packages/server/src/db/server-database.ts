import { ApiError } from '@millrace/api/errors'
import { Kysely } from 'kysely'
import type { Database, Writes } from './database.ts'
import { GroupWriter } from './group-writer.ts'
import { insertNamesOutside } from './key-names.ts'
import { migrate, readSchemaState } from './migrate.ts'
import { assertOurs } from './ownership.ts'
import { ConnectionLost } from './pooled-driver.ts'
import { settleTls } from './preferred-tls.ts'
import type { Schema } from './schema.ts'
import { describeAddress, type ServerAddress } from './server-address.ts'
import { codeOf, toAdvice } from './server-advice.ts'

export interface ServerDatabaseOptions {
  address: ServerAddress
  /** A read-only copy for searches and histories. */
  replica: ServerAddress | undefined
  /** Most connections that this process opens, at least 4. */
  connectionsMax: number
  /** Most writes that may wait at once; one more is refused. */
  pendingMax: number
  writes: Writes
  /** Puts in what every database has, after the migrations and before anything else. */
  prepare(db: Kysely<Schema>): Promise<void>
}

const WRITERS_MAX = 4
const START_PATIENCE_MS = 5000
const MAINTENANCE_PAUSE_MS = 2000

/**
 * Connections to a database server, opened as they are needed.
 *
 * @throws ConnectionLost when it has to be asked for TLS and cannot be
 */
export async function connect(given: ServerAddress, connections: number): Promise<Kysely<Schema>> {
  const address = await settleTls(given)
  const dialect =
    address.kind === 'postgresql'
      ? (await import('./postgresql-dialect.ts')).postgresqlDialect
      : (await import('./mysql-dialect.ts')).mysqlDialect
  return new Kysely<Schema>({ dialect: await dialect(address, { connections }) })
}

/**
 * Opens a database on a PostgreSQL, MySQL or MariaDB server, whose schema is made when there is
 * none. Any number of processes may do so at once and share it.
 *
 * @throws Error in one sentence when it cannot be reached, is not ours, or has another schema
 */
export async function openServerDatabase(options: ServerDatabaseOptions): Promise<Database> {
  const { connectionsMax } = options
  const address = await whenReachable(() => settleTls(options.address)).catch((error: unknown) => {
    throw toAdvice(error, options.address)
  })
  const writerCount = Math.max(1, Math.min(WRITERS_MAX, Math.floor(connectionsMax / 4)))
  // One connection for each writer, one for background work and one for new names.
  const readers = Math.max(1, connectionsMax - writerCount - 2)
  const read = await connect(address, readers)
  const write = await connect(address, writerCount + 1)
  const names = await connect(address, 1)
  insertNamesOutside(write, names)
  const replica =
    options.replica && (await connect(await settleReplica(options.replica, address), readers))
  const all = [read, write, names, ...(replica ? [replica] : [])]
  try {
    await makeReady(write, options)
  } catch (error) {
    for (const each of all) await each.destroy()
    throw toAdvice(error, address)
  }
  return new ServerDatabase({ read, write, names, replica }, writerCount, options)
}

/** A replica that is away just now is taken to offer what the database itself does. */
async function settleReplica(
  { prefersTls, ...replica }: ServerAddress,
  { tls }: ServerAddress,
): Promise<ServerAddress> {
  if (!prefersTls) return replica
  return settleTls({ ...replica, prefersTls }).catch(() => ({ ...replica, tls }))
}

async function makeReady(db: Kysely<Schema>, options: ServerDatabaseOptions): Promise<void> {
  const where = describeAddress(options.address)
  await whenReachable(() => assertOurs(db, where))
  const { applied, missing, unknown } = await readSchemaState(db)
  if (applied.length > 0 && missing.length > 0 && unknown.length === 0) {
    throw new Error(
      `The schema of ${where} is older than this program (${missing.join(', ')} missing). ` +
        'Make a backup, then run: millrace db upgrade',
    )
  }
  await migrate(db)
  try {
    await db.transaction().execute(options.prepare)
  } catch (error) {
    // Another replica that starts at the same moment was first.
    if (!(error instanceof ApiError) || error.code !== 'RESOURCE_ALREADY_EXISTS') throw error
  }
}

/** A database that is started together with this process may need a moment longer. */
async function whenReachable<Result>(action: () => Promise<Result>): Promise<Result> {
  const deadline = Date.now() + START_PATIENCE_MS
  for (;;) {
    try {
      return await action()
    } catch (error) {
      const code = error instanceof ConnectionLost ? codeOf(error.cause) : ''
      const mayCome = code === 'ECONNREFUSED' || code === '57P03' || code === 'ENOENT'
      if (!mayCome || Date.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}

interface Connections {
  read: Kysely<Schema>
  write: Kysely<Schema>
  names: Kysely<Schema>
  replica: Kysely<Schema> | undefined
}

class ServerDatabase implements Database {
  readonly read: Kysely<Schema>
  readonly lagging: Kysely<Schema>
  readonly #write: Kysely<Schema>
  readonly #names: Kysely<Schema>
  readonly #writers: GroupWriter[]
  readonly #background: GroupWriter
  readonly #pendingMax: number
  #pending = 0
  #isClosed = false
  #maintenance: NodeJS.Timeout
  #maintaining: Promise<void> = Promise.resolve()

  constructor(
    { read, write, names, replica }: Connections,
    writerCount: number,
    { pendingMax, writes }: ServerDatabaseOptions,
  ) {
    this.read = read
    this.lagging = replica ?? read
    this.#write = write
    this.#names = names
    this.#writers = Array.from({ length: writerCount }, () => new GroupWriter(write, writes))
    this.#background = new GroupWriter(write, writes)
    this.#pendingMax = pendingMax
    this.#maintenance = this.#plan()
  }

  snapshot<Result>(run: (db: Kysely<Schema>) => Promise<Result>): Promise<Result> {
    return this.read.transaction().setIsolationLevel('repeatable read').execute(run)
  }

  get pendingWrites(): number {
    return this.#pending
  }

  async write(name: string, caller: unknown, input: unknown): Promise<unknown> {
    if (this.#isClosed) throw unavailable('The server is shutting down.')
    if (this.#pending >= this.#pendingMax) {
      throw unavailable(`${this.#pendingMax} writes are waiting for the database. Try again.`)
    }
    this.#pending++
    const key = lockKey(input)
    const writer = this.#writers[hashOf(key) % this.#writers.length]
    try {
      return await writer?.write(name, caller, input, key)
    } finally {
      this.#pending--
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    clearTimeout(this.#maintenance)
    await this.#maintaining
    for (const writer of [...this.#writers, this.#background]) await writer.drain()
    const all = new Set([this.read, this.lagging, this.#write, this.#names])
    for (const each of all) await each.destroy()
  }

  #plan(): NodeJS.Timeout {
    return setTimeout(() => {
      this.#maintaining = this.#maintain()
    }, MAINTENANCE_PAUSE_MS)
  }

  /** Folds and seals in small transactions; what fails is tried again after the next pause. */
  async #maintain(): Promise<void> {
    try {
      let remaining = 1
      while (remaining > 0 && !this.#isClosed) {
        remaining = Number(await this.#background.write('maintenance.step', undefined, {}, ''))
      }
    } catch {
      // Those who wait for an answer hear of a broken database; here there is nobody to tell.
    }
    if (!this.#isClosed) this.#maintenance = this.#plan()
  }
}

/** What a write is mostly about: writes about the same thing go through the same writer. */
function lockKey(input: unknown): string {
  if (typeof input !== 'object' || input === null) return ''
  const { run_id, run_uuid, model_id, name, experiment_id } = input as Record<string, unknown>
  const key = run_id ?? run_uuid ?? model_id ?? name ?? experiment_id
  return typeof key === 'string' ? key : ''
}

let next = 0

function hashOf(key: string): number {
  if (key === '') return next++
  let hash = 0
  for (let i = 0; i < key.length; i++) hash = (hash * 31 + key.charCodeAt(i)) | 0
  return hash >>> 0
}

function unavailable(message: string): ApiError {
  return new ApiError('TEMPORARILY_UNAVAILABLE', message, { retryAfterSeconds: 1 })
}
