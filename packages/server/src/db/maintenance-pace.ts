/**
 * When background work joins a group of writes. It waits for a pause as long as there are pauses;
 * under a steady load of writes there are none, and then each run that is due gets one step within
 * every `intervalMs`, a step a group, so that it costs no commit of its own.
 */
export class MaintenancePace {
  readonly #intervalMs: number
  #nextMs: number
  #stepsLeft = 0
  #isFirst = false

  constructor(intervalMs: number, nowMs: number) {
    this.#intervalMs = intervalMs
    this.#nextMs = nowMs + intervalMs
  }

  /** Whether the group about to run takes a step along. */
  isDue(nowMs: number): boolean {
    if (this.#stepsLeft > 0) return true
    if (nowMs < this.#nextMs) return false
    this.#nextMs = nowMs + this.#intervalMs
    this.#stepsLeft = 1
    this.#isFirst = true
    return true
  }

  /** Takes what a step left to do: 0 when it failed. */
  took(remaining: number): void {
    this.#stepsLeft = this.#isFirst ? remaining : Math.min(this.#stepsLeft - 1, remaining)
    this.#isFirst = false
  }
}
