/** What makes parsed JSON need another look; nearly no request has any of it. */
export interface JsonTraits {
  hasNulls: boolean
  hasCamelCase: boolean
  /** A number that `JSON.parse` may have rounded. */
  hasLongIntegers: boolean
}

/** Deeper than any message of the API; below it only the text is looked at, without recursion. */
const DEPTH_MAX = 100

/**
 * Looks at every value once, because searching the text for the same takes as long as parsing it.
 * May find what is not there, never misses what is.
 */
export function traitsOf(value: unknown, text: string): JsonTraits {
  const traits = { hasNulls: false, hasCamelCase: false, hasLongIntegers: false }
  if (look(value, 0, traits)) return traits
  return {
    hasNulls: text.includes('null'),
    hasCamelCase: /"[a-z]+(?:[A-Z][a-z0-9]*)+"\s*:/.test(text),
    hasLongIntegers: /[:[,]\s*-?\d{16}/.test(text),
  }
}

/** Whether all of it could be looked at. */
function look(value: unknown, depth: number, traits: JsonTraits): boolean {
  if (isLeaf(value, traits)) return true
  if (depth > DEPTH_MAX) return false
  // A call for each leaf would be felt: a batch has four thousand of them.
  if (Array.isArray(value)) {
    for (const element of value) {
      if (!isLeaf(element, traits) && !look(element, depth + 1, traits)) return false
    }
    return true
  }
  const record = value as Record<string, unknown>
  for (const key in record) {
    if (isCamelCase(key)) traits.hasCamelCase = true
    const field = record[key]
    if (typeof field === 'string' || isLeaf(field, traits)) continue
    if (!look(field, depth + 1, traits)) return false
  }
  return true
}

/** Whether nothing is inside of a value; notes what is to be noted about it. */
function isLeaf(value: unknown, traits: JsonTraits): boolean {
  if (typeof value === 'number') {
    // The number 2^53 may be what is left of 2^53 + 1.
    if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) {
      traits.hasLongIntegers = true
    }
    return true
  }
  if (value === null) {
    traits.hasNulls = true
    return true
  }
  return typeof value !== 'object'
}

/** Fields repeat from request to request, so most keys have been seen. */
const seenKeys = new Map<string, boolean>()
const SEEN_KEYS_MAX = 1000

function isCamelCase(key: string): boolean {
  let found = seenKeys.get(key)
  if (found === undefined) {
    if (seenKeys.size >= SEEN_KEYS_MAX) seenKeys.clear()
    found = /^[a-z]+(?:[A-Z][a-z0-9]*)+$/.test(key)
    seenKeys.set(key, found)
  }
  return found
}
