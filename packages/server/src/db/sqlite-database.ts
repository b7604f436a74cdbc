import { mkdirSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ApiError, type ErrorCode } from '@millrace/api/errors'
import { Kysely } from 'kysely'
import type { Database } from './database.ts'
import { migrate } from './migrate.ts'
import { assertOurs } from './ownership.ts'
import type { Schema } from './schema.ts'
import { openSqliteFile, type Synchronous, sqliteDialect } from './sqlite-dialect.ts'
import { describeStorageFailure } from './storage-failure.ts'

/** What the main thread sends: everything that was asked for within one turn of its loop. */
export interface WriteCall {
  id: number
  name: string
  caller: unknown
  input: unknown
}

/** What the writer thread answers once a group is on disk, or has failed. */
export type WriteAnswer =
  | { id: number; output: unknown }
  | { id: number; error: { code: ErrorCode; message: string; retryAfterSeconds?: number } }
  | { id: number; failure: { message: string; stack: string | undefined } }

export interface WriterThreadData {
  path: string
  synchronous: Synchronous
  settings: unknown
}

export interface SqliteOptions {
  path: string
  synchronous: Synchronous
  /** Plain settings that writes need; handed to the writer thread as they are. */
  settings: unknown
  /** Puts in what every database has, after the migrations and before anything else. */
  prepare(db: Kysely<Schema>): Promise<void>
  /** Most writes that may wait at once; one more is refused. */
  pendingMax: number
}

/** TypeScript beside the sources, JavaScript beside a bundle (`tools/build.ts`). */
const WRITER_THREAD = join(import.meta.dirname, `writer-thread${extname(import.meta.filename)}`)

/** Opens a SQLite file: reads on this thread, writes in group commits on a thread of their own. */
export async function openSqliteDatabase(options: SqliteOptions): Promise<Database> {
  mkdirSync(dirname(options.path), { recursive: true })
  const { path, synchronous, settings } = options
  await withConnection({ path, synchronous, queryOnly: true }, (db) =>
    assertOurs(db, `sqlite:///${path}`),
  )
  await withConnection({ path, synchronous, queryOnly: false }, async (db) => {
    await migrate(db)
    await db.transaction().execute(options.prepare)
  })

  const data: WriterThreadData = { path, synchronous, settings }
  const worker = new Worker(WRITER_THREAD, { workerData: data })
  return new SqliteDatabase(path, worker, options)
}

/** Opens the file for a moment; says in a sentence why it cannot be. */
async function withConnection(
  { path, ...options }: { path: string; synchronous: Synchronous; queryOnly: boolean },
  use: (db: Kysely<Schema>) => Promise<void>,
): Promise<void> {
  try {
    const db = new Kysely<Schema>({ dialect: sqliteDialect(openSqliteFile(path, options)) })
    try {
      await use(db)
    } finally {
      await db.destroy()
    }
  } catch (error) {
    const reason = describeStorageFailure(error)
    if (reason === undefined) throw error
    throw new Error(`The database ${path} cannot be used: ${reason}.`, { cause: error })
  }
}

interface Waiting {
  resolve(output: unknown): void
  reject(error: unknown): void
}

class SqliteDatabase implements Database {
  readonly read: Kysely<Schema>
  readonly #snapshot: Kysely<Schema>
  #snapshots: Promise<void> = Promise.resolve()
  readonly #worker: Worker
  readonly #pendingMax: number
  readonly #waiting = new Map<number, Waiting>()
  #unsent: WriteCall[] = []
  #nextId = 1
  #closed = false

  constructor(path: string, worker: Worker, options: SqliteOptions) {
    this.#worker = worker
    this.#pendingMax = options.pendingMax
    const { synchronous } = options
    const open = () =>
      new Kysely<Schema>({
        dialect: sqliteDialect(openSqliteFile(path, { synchronous, queryOnly: true })),
      })
    this.read = open()
    this.#snapshot = open()
    worker.on('message', (answers: WriteAnswer[]) => this.#settle(answers))
    worker.on('error', (error) => this.#fail(error))
    worker.on('exit', (code) => {
      if (!this.#closed) this.#fail(new Error(`The writer thread ended with code ${code}`))
    })
  }

  get lagging(): Kysely<Schema> {
    return this.read
  }

  async snapshot<Result>(run: (db: Kysely<Schema>) => Promise<Result>): Promise<Result> {
    // One connection has one transaction, so the next one waits for it.
    const before = this.#snapshots
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#snapshots = promise
    await before
    try {
      return await this.#snapshot.transaction().execute(run)
    } finally {
      resolve()
    }
  }

  get pendingWrites(): number {
    return this.#waiting.size
  }

  write(name: string, caller: unknown, input: unknown): Promise<unknown> {
    if (this.#closed) return Promise.reject(unavailable('The server is shutting down.'))
    if (this.#waiting.size >= this.#pendingMax) {
      return Promise.reject(
        unavailable(`${this.#pendingMax} writes are waiting for the database. Try again.`),
      )
    }
    const id = this.#nextId++
    if (this.#unsent.length === 0) setImmediate(() => this.#send())
    this.#unsent.push({ id, name, caller, input })
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#send()
    const ended = new Promise((resolve) => this.#worker.once('exit', resolve))
    this.#worker.postMessage('close')
    await ended
    await this.#snapshots
    await this.#snapshot.destroy()
    await this.read.destroy()
  }

  #send(): void {
    const calls = this.#unsent
    this.#unsent = []
    if (calls.length > 0) this.#post(calls)
  }

  /** A call that cannot be sent to another thread fails alone, not with those beside it. */
  #post(calls: WriteCall[]): void {
    try {
      this.#worker.postMessage(calls)
    } catch (error) {
      if (calls.length > 1) for (const call of calls) this.#post([call])
      else if (calls[0] !== undefined) this.#reject(calls[0].id, error)
    }
  }

  #reject(id: number, error: unknown): void {
    this.#waiting.get(id)?.reject(error)
    this.#waiting.delete(id)
  }

  #settle(answers: WriteAnswer[]): void {
    for (const answer of answers) {
      const waiting = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if ('output' in answer) waiting?.resolve(answer.output)
      else if ('error' in answer) waiting?.reject(toApiError(answer.error))
      else waiting?.reject(toFailure(answer.failure))
    }
  }

  /** Without its writer the server can keep no promise, so the process ends and is restarted. */
  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) {
      reject(unavailable('The database writer stopped; the write may or may not be stored.'))
    }
    this.#waiting.clear()
    setImmediate(() => {
      throw error
    })
  }
}

function unavailable(message: string): ApiError {
  return new ApiError('TEMPORARILY_UNAVAILABLE', message, { retryAfterSeconds: 1 })
}

function toApiError(error: { code: ErrorCode; message: string; retryAfterSeconds?: number }) {
  const { code, message, ...options } = error
  return new ApiError(code, message, options)
}

function toFailure({ message, stack }: { message: string; stack: string | undefined }): Error {
  const failure = new Error(message)
  if (stack !== undefined) failure.stack = stack
  return failure
}
