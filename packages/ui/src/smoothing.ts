/**
 * Exponential moving average that forgets by distance in x, so that sparse and dense stretches are
 * smoothed alike. `weight` from 0 (as logged) to just below 1; gaps (null) stay gaps.
 */
export function smooth(
  xs: readonly number[],
  ys: readonly (number | null)[],
  weight: number,
): (number | null)[] {
  if (weight <= 0) return [...ys]
  const spacing = typicalSpacing(xs, ys)
  let average = 0
  let mass = 0
  let last: number | undefined
  return ys.map((y, index) => {
    const x = xs[index]
    if (y === null || x === undefined || !Number.isFinite(y)) return y
    const distance = last === undefined || spacing === 0 ? 1 : (x - last) / spacing
    const kept = weight ** Math.max(0, distance)
    average = kept * average + (1 - weight) * y
    mass = kept * mass + (1 - weight)
    last = x
    return average / mass
  })
}

function typicalSpacing(xs: readonly number[], ys: readonly (number | null)[]): number {
  const used = xs.filter((_, index) => ys[index] !== null)
  const first = used[0]
  const last = used.at(-1)
  if (first === undefined || last === undefined || used.length < 2) return 0
  return (last - first) / (used.length - 1)
}
