/** Bytes a reader asks for: from `start` through `end` (to the end when absent), or the last ones. */
export type ByteRange = { start: number; end?: number } | { lastBytes: number }

/** A range inside a known size; `end` is the last byte, inclusive, as in `Content-Range`. */
export interface ResolvedRange {
  start: number
  end: number
}

/**
 * The one range of a `Range` header, or undefined when there is none to honour: no header, another
 * unit, several ranges, or bad syntax. RFC 9110 14.2 lets a server answer all of these with 200.
 */
export function parseRangeHeader(header: string | undefined): ByteRange | undefined {
  const [, first = '', last = ''] = /^bytes=\s*(\d*)-(\d*)\s*$/i.exec(header ?? '') ?? []
  if (first === '') return last === '' ? undefined : { lastBytes: Number(last) }
  if (last === '') return { start: Number(first) }
  return Number(last) < Number(first) ? undefined : { start: Number(first), end: Number(last) }
}

/** The range within `totalBytes`, or undefined when no byte of it exists (HTTP 416). */
export function resolveRange(range: ByteRange, totalBytes: number): ResolvedRange | undefined {
  const start = 'lastBytes' in range ? Math.max(totalBytes - range.lastBytes, 0) : range.start
  const end = 'lastBytes' in range ? Infinity : (range.end ?? Infinity)
  return start < totalBytes ? { start, end: Math.min(end, totalBytes - 1) } : undefined
}
