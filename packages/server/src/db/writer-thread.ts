import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { invariant } from '@millrace/api/errors'
import { Kysely } from 'kysely'
import { writes } from '../writes.ts'
import { GroupCommit } from './group-commit.ts'
import { MaintenancePace } from './maintenance-pace.ts'
import type { Schema } from './schema.ts'
import type { WriteAnswer, WriteCall, WriterThreadData } from './sqlite-database.ts'
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
/** Calls of the main thread count from 1. */
const MAINTENANCE_ID = 0
/** A fold a second of every run that gets a point now and then would cost a third of the rate. */
const MAINTENANCE_INTERVAL_MS = 10_000
const pace = new MaintenancePace(MAINTENANCE_INTERVAL_MS, performance.now())

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
    const takesStep = pace.isDue(performance.now())
    if (takesStep) queue.unshift(maintenanceStep)
    const answers = await commit.run(queue)
    if (takesStep) pace.took(remainingWork(answers.shift()))
    port.postMessage(answers)
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

const maintenanceStep: WriteCall = {
  id: MAINTENANCE_ID,
  name: 'maintenance.step',
  caller: undefined,
  input: {},
}

/** How many runs wait for background work after a step; none if it failed, until the next pause. */
function remainingWork(answer: WriteAnswer | undefined): number {
  return answer !== undefined && 'output' in answer ? Number(answer.output) : 0
}

/** Does background work in small transactions for as long as nobody waits for the writer. */
async function maintain(): Promise<void> {
  maintenance = undefined
  if (isRunning) return
  isRunning = true
  let hasMore = true
  while (hasMore && queue.length === 0 && !isClosing) {
    const [answer] = await commit.run([maintenanceStep])
    hasMore = remainingWork(answer) > 0
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
