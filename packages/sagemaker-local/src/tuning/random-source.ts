import { createHash } from 'node:crypto'

/** Numbers that look random and are the same for the same seed. */
export interface RandomSource {
  /** From 0 up to, not including, 1. */
  uniform(): number
  /** Of mean 0 and variance 1. */
  normal(): number
}

/** Starts the numbers of a seed; `stream` parts them from others of the same seed. */
export function randomSource(seed: number, stream: string): RandomSource {
  const digest = createHash('sha256').update(`${seed}/${stream}`).digest()
  let [a, b, c, counter] = [0, 4, 8, 12].map((at) => digest.readUInt32LE(at)) as [
    number,
    number,
    number,
    number,
  ]
  // sfc32 by Chris Doty-Humphrey: small, fast, and good enough for any test that we could fail.
  const next = () => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return (sum >>> 0) / 2 ** 32
  }
  return {
    uniform: next,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  }
}
