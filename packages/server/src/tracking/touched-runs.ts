import { type Db, perAdapter } from '../db/dialect.ts'

/** Runs that were written to and that background work has not looked at since. */
export class TouchedRuns {
  readonly #waiting = new Set<number>()
  readonly #settling = new Map<number, number>()

  add(run: number): void {
    this.#waiting.add(run)
  }

  /** Has the run looked at again once it was left alone until `atMs`. */
  addLater(run: number, atMs: number): void {
    this.#settling.set(run, atMs)
  }

  /** The next run to look at, and whether it was left alone since `addLater`. */
  next(nowMs: number): { run: number; isSettled: boolean } | undefined {
    const [run] = this.#waiting
    if (run !== undefined) return { run, isSettled: false }
    const [settling] = this.#settling
    if (settling === undefined || settling[1] > nowMs) return undefined
    return { run: settling[0], isSettled: true }
  }

  /** Takes a run off the list that `next` gave. */
  delete({ run, isSettled }: { run: number; isSettled: boolean }): void {
    if (isSettled) this.#settling.delete(run)
    else this.#waiting.delete(run)
  }

  /** How many runs `next` would give one after the other. */
  count(nowMs: number): number {
    const settled = [...this.#settling.values()].filter((atMs) => atMs <= nowMs)
    return this.#waiting.size + settled.length
  }
}

/** The runs of a database that were touched through this process. */
export const touchedRuns = perAdapter(() => new TouchedRuns())

/** Notes that a run was written to. */
export function touch(db: Db, run: number): void {
  touchedRuns(db).add(run)
}
