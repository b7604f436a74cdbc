/** The value below which that share of the numbers lies; NaN of none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** The middle of the numbers that are numbers; NaN of none. */
export function median(numbers: readonly number[]): number {
  return quantile(
    numbers.filter((number) => !Number.isNaN(number)),
    0.5,
  )
}
