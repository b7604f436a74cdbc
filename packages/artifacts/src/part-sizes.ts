const MIB = 1024 * 1024
/** S3 takes parts from 5 MiB on; this is also the memory that one upload holds, twice. */
const PART_BYTES_MIN = 8 * MIB
/** Objects that were stored are checked by it: it cannot change. */
const PART_BYTES_MAX = 64 * MIB
/** S3 takes no more. */
export const PARTS_MAX = 10_000
/** Parts of an unknown size double after this many, so that 10,000 reach 300 GB. */
const PARTS_BEFORE_DOUBLING = 2_500

/**
 * How large the parts of an object are: equal ones where the length is known, as some servers
 * insist; growing ones where it is not.
 */
export interface PartSizes {
  firstBytes: number
  /** The size doubles each time that so many parts have been made. */
  doublesEvery?: number
}

/** The sizes for a body of an announced length, or of an unknown one. */
export function partSizes(sizeBytes: number | undefined): PartSizes {
  if (sizeBytes === undefined) {
    return { firstBytes: PART_BYTES_MIN, doublesEvery: PARTS_BEFORE_DOUBLING }
  }
  // Google takes whole multiples of 256 KiB.
  const firstBytes = Math.max(Math.ceil(sizeBytes / PARTS_MAX / MIB) * MIB, PART_BYTES_MIN)
  return { firstBytes: Math.min(firstBytes, PART_BYTES_MAX) }
}

/** The size of the part of a number, from 1 on. */
export function partBytes({ firstBytes, doublesEvery }: PartSizes, number: number): number {
  const doublings = doublesEvery === undefined ? 0 : Math.floor(number / doublesEvery)
  return Math.min(firstBytes * 2 ** doublings, PART_BYTES_MAX)
}

/** `8388608`, or `8388608x2500` where sizes double, to be kept with the object. */
export function formatPartSizes({ firstBytes, doublesEvery }: PartSizes): string {
  return doublesEvery === undefined ? String(firstBytes) : `${firstBytes}x${doublesEvery}`
}

/** Undefined for text that `formatPartSizes` did not write. */
export function findPartSizes(text: string | undefined): PartSizes | undefined {
  const [, first, every] = /^([1-9]\d{6,8})(?:x([1-9]\d{0,4}))?$/.exec(text ?? '') ?? []
  if (first === undefined) return undefined
  return { firstBytes: Number(first), ...(every !== undefined && { doublesEvery: Number(every) }) }
}
