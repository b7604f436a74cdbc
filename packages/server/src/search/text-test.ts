import type { ListTest, TextTest } from './filter.ts'

/** Exports `passesTextTest`, for columns that hold a number in place of a name. */

/** What `textCondition` says in SQL, for a text that is not in a column. */
export function passesTextTest(text: string, test: TextTest | ListTest): boolean {
  if (test.type === 'list') return test.value.includes(text) === (test.comparator === 'IN')
  if (test.comparator === '=') return text === test.value
  if (test.comparator === '!=') return text !== test.value
  if (test.comparator === 'LIKE') return isLike(text, test.value)
  return isLike(text.toLowerCase(), test.value.toLowerCase())
}

/** One pass with a step back to the last `%`, so that no pattern is slow. */
function isLike(text: string, pattern: string): boolean {
  let at = 0
  let patternAt = 0
  let lastAny = -1
  let resumeAt = 0
  while (at < text.length) {
    const wanted = pattern[patternAt]
    if (wanted === '%') {
      lastAny = patternAt++
      resumeAt = at
    } else if (wanted === '_' || (wanted !== undefined && wanted === text[at])) {
      at++
      patternAt++
    } else if (lastAny !== -1) {
      patternAt = lastAny + 1
      at = ++resumeAt
    } else {
      return false
    }
  }
  return /^%*$/.test(pattern.slice(patternAt))
}
