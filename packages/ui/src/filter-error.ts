/** A message of the server about a filter, and where in the filter it points (from 0). */
export interface FilterError {
  message: string
  position: number | undefined
}

/** Takes `(at character N)` off the end of a message; people count from one. */
export function readFilterError(message: string): FilterError {
  const found = /^(.*?)\s*\(at character (\d+)\)\.?$/s.exec(message)
  if (!found?.[1]) return { message, position: undefined }
  return { message: found[1], position: Number(found[2]) - 1 }
}

/** The word of a filter that begins at a position: up to a space outside quotes. */
export function wordAt(filter: string, position: number): { start: number; end: number } {
  const start = Math.min(Math.max(0, position), Math.max(0, filter.length - 1))
  const found = /^(?:`[^`]*`?|"[^"]*"?|'[^']*'?|[^\s`"'])+/.exec(filter.slice(start))
  return { start, end: Math.max(start + 1, start + (found?.[0].length ?? 0)) }
}
