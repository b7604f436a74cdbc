import { DatabaseSync } from 'node:sqlite'
import { setTimeout as wait } from 'node:timers/promises'

const RETRY_MS = 200

/**
 * Waits until nobody else on this machine holds the lock of that file, and holds it until disposed.
 * SQLite's file locks are used because the system frees them when their holder dies, however it does.
 */
export async function lockFile(path: string, onWait: () => void): Promise<Disposable> {
  const database = new DatabaseSync(path, { timeout: 0 })
  for (let hasWaited = false; !tryLock(database); await wait(RETRY_MS)) {
    if (!hasWaited) onWait()
    hasWaited = true
  }
  return { [Symbol.dispose]: () => database.close() }
}

function tryLock(database: DatabaseSync): boolean {
  try {
    database.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if (error instanceof Error && /database is locked/.test(error.message)) return false
    database.close()
    throw error
  }
}
