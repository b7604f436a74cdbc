/** How many jobs may have ended and still be stored, for each place. */
const CONCLUDING_PER_PLACE = 2

/**
 * The places of a machine: how many jobs run at the same time, how many are prepared before they have
 * one, and how many are stored after they have given theirs back. Tasks are told by their ids, and
 * the lowest one that waits is the next.
 */
export class Places {
  readonly #count: number
  readonly #onChange: () => void
  readonly #ahead = new Set<number>()
  readonly #taken = new Set<number>()
  readonly #concluding = new Set<number>()
  readonly #waiting = new Map<number, () => void>()
  readonly #leaving = new Map<number, () => void>()

  constructor(count: number, onChange: () => void) {
    this.#count = count
    this.#onChange = onChange
  }

  get free(): number {
    return Math.max(0, this.#count - this.#taken.size)
  }

  /**
   * Whether another task may be prepared: one for each place that is free, so that the first ones get
   * there first, or else one for each place.
   */
  get hasRoomAhead(): boolean {
    return this.#ahead.size < (this.free || this.#count)
  }

  /** Which of those that are ready is the next. */
  get next(): number | undefined {
    return this.#waiting.size === 0 ? undefined : Math.min(...this.#waiting.keys())
  }

  prepare(id: number): void {
    this.#ahead.add(id)
  }

  /** Gives a place to a task, whether there is one or not: what runs already has to have it. */
  give(id: number): void {
    this.#ahead.delete(id)
    this.#taken.add(id)
    this.#waiting.get(id)?.()
    this.#waiting.delete(id)
  }

  /**
   * Resolves when the task has a place, at once when it has one.
   *
   * @throws the signal's reason when that is aborted first
   */
  async wait(id: number, signal: AbortSignal): Promise<void> {
    if (this.#taken.has(id)) return
    await abortable(signal, (resolve) => {
      this.#waiting.set(id, resolve)
      this.#onChange()
    }).finally(() => this.#waiting.delete(id))
  }

  /** Gives the place of a task back as soon as there are few enough whose results are stored. */
  async conclude(id: number, signal: AbortSignal): Promise<void> {
    this.#ahead.delete(id)
    while (this.#concluding.size >= this.#count * CONCLUDING_PER_PLACE) {
      await abortable(signal, (resolve) => this.#leaving.set(id, resolve)).finally(() =>
        this.#leaving.delete(id),
      )
    }
    this.#taken.delete(id)
    this.#concluding.add(id)
    this.#onChange()
  }

  /** Forgets a task that has ended. */
  leave(id: number): void {
    for (const set of [this.#ahead, this.#taken, this.#concluding]) set.delete(id)
    this.#leaving.values().next().value?.()
  }
}

function abortable(signal: AbortSignal, begin: (resolve: () => void) => void): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    begin(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
  })
}
