import { quoteText } from '../../search-text.ts'

/**
 * What is sent for the text in the filter box: an expression as it is, and plain words as a search
 * of names, because that is what people type first.
 */
export function toServerFilter(text: string): string {
  const typed = text.trim()
  return isExpression(typed) || typed === ''
    ? typed
    : `attributes.run_name ILIKE ${quoteText(`%${typed}%`)}`
}

export function isExpression(text: string): boolean {
  return /[=<>!]|\b(?:i?like|in|is)\b|^\s*(?:metrics?|params?|tags?|attributes?)\b/i.test(text)
}
