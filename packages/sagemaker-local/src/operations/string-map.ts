import { z } from 'zod'

const SIZE_MAX = 100

/** A map of strings, as AWS limits it: how long its names and values may be, and how many there are. */
export function StringMap(
  keyMax: number,
  valueMax: number,
  { pattern, sizeMax = SIZE_MAX }: { pattern?: RegExp; sizeMax?: number } = {},
) {
  const key = z.string().max(keyMax)
  return z
    .record(pattern ? key.regex(pattern) : key, z.string().max(valueMax))
    .superRefine((map, context) => {
      if (Object.keys(map).length <= sizeMax) return
      context.addIssue({ code: 'too_big', origin: 'map', maximum: sizeMax, input: map })
    })
}

/** Names of variables, as the jobs and models of SageMaker take them. */
export const VARIABLE = /^[a-zA-Z_][a-zA-Z0-9_]*$/
