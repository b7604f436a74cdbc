import { SERVER_OPTIONS } from './server-options.ts'

/** Two letters left out, put in, or taken for others. */
const SLIPS_MAX = 2

/** Variables that look like a setting's and are none, each with the one that was perhaps meant. */
export function findMisspelt(
  env: Readonly<Record<string, string | undefined>>,
): { name: string; meant: string }[] {
  const known = SERVER_OPTIONS.flatMap((option) => option.env)
  return Object.keys(env)
    .filter((name) => name.startsWith('MILLRACE_') && !known.includes(name))
    .flatMap((name) => {
      const meant = known.find((each) => countSlips(name, each) <= SLIPS_MAX)
      return meant === undefined ? [] : [{ name, meant }]
    })
}

/** The Levenshtein distance of two names. */
function countSlips(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
