import type { Db } from '../db/dialect.ts'

const touchedByDatabase = new WeakMap<object, Set<number>>()

/** Runs that were written to and that background work has not looked at since. */
export function touchedRuns(db: Db): Set<number> {
  const { adapter } = db.getExecutor()
  let touched = touchedByDatabase.get(adapter)
  if (touched === undefined) {
    touched = new Set()
    touchedByDatabase.set(adapter, touched)
  }
  return touched
}

/** Notes that a run was written to. */
export function touch(db: Db, run: number): void {
  touchedRuns(db).add(run)
}
