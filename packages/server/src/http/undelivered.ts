/**
 * Answers to creates whose client was gone before it could be told. MLflow's clients send a request
 * again when its connection breaks, byte for byte; the second one is then given the first one's
 * answer, so that a create is not done twice.
 */
export class UndeliveredAnswers {
  readonly #answers = new Map<string, { output: unknown; until: number }>()

  /** Whether there is anything to look for, so that the usual request need not make a key. */
  get isEmpty(): boolean {
    return this.#answers.size === 0
  }

  keep(key: string, output: unknown): void {
    this.#dropOld()
    this.#answers.set(key, { output, until: Date.now() + KEPT_MS })
  }

  /** Takes out the answer to an identical request, once. */
  take(key: string): { output: unknown } | undefined {
    this.#dropOld()
    const answer = this.#answers.get(key)
    this.#answers.delete(key)
    return answer
  }

  #dropOld(): void {
    const now = Date.now()
    for (const [key, { until }] of this.#answers) {
      if (until > now && this.#answers.size <= COUNT_MAX) return
      this.#answers.delete(key)
    }
  }
}

/** Longer than a client of MLflow goes on trying. */
const KEPT_MS = 10 * 60_000
const COUNT_MAX = 1000
