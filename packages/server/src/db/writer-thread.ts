import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { invariant } from '@millrace/api/errors'
import { Kysely } from 'kysely'
import { writes } from '../writes.ts'
import { GroupCommit } from './group-commit.ts'
import type { Schema } from './schema.ts'
import type { WriteCall, WriterThreadData } from './sqlite-database.ts'
import { openSqliteFile, sqliteDialect } from './sqlite-dialect.ts'
import { describeStorageFailure } from './storage-failure.ts'

invariant(parentPort, 'the writer runs in a thread')
const port = parentPort
const { path, synchronous, settings } = workerData as WriterThreadData
const sqlite = openSqliteFile(path, { synchronous, queryOnly: false })
const db = new Kysely<Schema>({ dialect: sqliteDialect(sqlite) })

const queue: WriteCall[] = []
const commit = new GroupCommit({ sqlite, db, writes: writes(settings) })
const MAINTENANCE_PAUSE_MS = 1000

let isClosing = false
let isRunning = false
let maintenance: NodeJS.Timeout | undefined

function enqueue(message: unknown): void {
  if (message === 'close') isClosing = true
  else queue.push(...(message as WriteCall[]))
}

function enqueueWhatArrived(): void {
  for (let more = receiveMessageOnPort(port); more; more = receiveMessageOnPort(port)) {
    enqueue(more.message)
  }
}

/** Commits group after group until nothing waits; what arrives meanwhile joins the next group. */
async function run(): Promise<void> {
  if (isRunning) return
  isRunning = true
  while (queue.length > 0) {
    port.postMessage(await commit.run(queue))
    enqueueWhatArrived()
  }
  isRunning = false
  if (isClosing) {
    clearTimeout(maintenance)
    await db.destroy()
    process.exit(0)
  }
  maintenance ??= setTimeout(() => void maintain(), MAINTENANCE_PAUSE_MS)
}

/** Does background work in small transactions for as long as nobody waits for the writer. */
async function maintain(): Promise<void> {
  maintenance = undefined
  if (isRunning) return
  isRunning = true
  let hasMore = true
  while (hasMore && queue.length === 0 && !isClosing) {
    const [answer] = await commit.run([
      { id: 0, name: 'maintenance.step', caller: undefined, input: {} },
    ])
    hasMore = answer !== undefined && 'output' in answer && answer.output === true
    enqueueWhatArrived()
  }
  if (queue.length === 0) checkpoint()
  isRunning = false
  if (hasMore || queue.length > 0 || isClosing) await run()
}

/** A disk that is full or fails keeps the log as it is; the next pause tries again. */
function checkpoint(): void {
  try {
    sqlite.exec('PRAGMA wal_checkpoint(PASSIVE)')
  } catch (error) {
    if (describeStorageFailure(error) === undefined) throw error
  }
}

port.on('message', (message) => {
  enqueue(message)
  void run()
})
