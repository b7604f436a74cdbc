import { perAdapter } from '../db/dialect.ts'
import type { Points } from '../metrics/points.ts'

interface Bounds {
  /** A series of fewer points is not kept. */
  pointsMin: number
  /** Of all series together; 28 bytes each. */
  pointsMax: number
}

/** Decoded series by run and metric, the one that was asked for last at the end. */
class KeptSeries<Kept extends { points: Points }> {
  readonly #bounds: Bounds
  readonly #byName = new Map<string, Kept>()
  #points = 0

  constructor(bounds: Bounds) {
    this.#bounds = bounds
  }

  find(name: string): Kept | undefined {
    const kept = this.#byName.get(name)
    if (kept === undefined) return undefined
    this.#byName.delete(name)
    this.#byName.set(name, kept)
    return kept
  }

  keep(name: string, kept: Kept): void {
    this.#drop(name)
    const { pointsMin, pointsMax } = this.#bounds
    if (kept.points.n < pointsMin || kept.points.n > pointsMax) return
    this.#byName.set(name, kept)
    this.#points += kept.points.n
    for (const oldest of this.#byName.keys()) {
      if (this.#points <= pointsMax) return
      this.#drop(oldest)
    }
  }

  #drop(name: string): void {
    this.#points -= this.#byName.get(name)?.points.n ?? 0
    this.#byName.delete(name)
  }
}

/** Decoded series that stay in memory within bounds, for each database its own. */
export function keptSeries<Kept extends { points: Points }>(bounds: Bounds) {
  return perAdapter(() => new KeptSeries<Kept>(bounds))
}
