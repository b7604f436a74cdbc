/** A stream of numbers that is the same for the same seed, so that two demos look alike. */
export interface Random {
  /** From 0 up to, not including, 1. */
  next(): number
  /** Around 0 with deviation 1. */
  normal(): number
  /** One of the choices. */
  pick<const T extends string | number>(choices: readonly [T, ...T[]]): T
}

/** Mulberry32: 32 bits of state are enough for a few hundred thousand draws. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    pick: (choices) => choices[Math.floor(next() * choices.length)] ?? choices[0],
  }
}
