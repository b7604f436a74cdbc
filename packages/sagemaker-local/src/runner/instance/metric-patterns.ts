import { writeSync } from 'node:fs'
import { createContext, Script } from 'node:vm'
import type { MetricDefinition } from './instance-spec.ts'

/** A value that a job has printed. */
export interface MetricPoint {
  name: string
  value: number
  timeMs: number
}

/** How long the patterns may take over one piece of output, however they are written. */
const SEARCH_MS_MAX = 200

/**
 * A pattern of a metric definition, written for Python or Java, as JavaScript reads it.
 *
 * @throws Error that says what is wrong with it
 */
export function compilePattern(pattern: string): RegExp {
  const flags = /^\(\?([ims]+)\)/.exec(pattern)
  const source = (flags ? pattern.slice(flags[0].length) : pattern)
    .replaceAll('(?P<', '(?<')
    .replace(/\(\?P=(\w+)\)/g, '\\k<$1>')
    .replace(/\\A/g, '^')
    .replace(/\\[zZ]/g, '$')
  return new RegExp(source, flags?.[1] ?? '')
}

/**
 * Finds metrics in printed lines and writes each value as a line of JSON. The patterns are a
 * client's: one that takes too long is given up, with a word to `say`.
 */
export function createMetricReader(
  definitions: MetricDefinition[],
  file: number,
  say: (line: string) => void,
): (lines: string[], timeMs: number) => void {
  const context = createContext({
    patterns: definitions.map(({ Regex }) => compilePattern(Regex)),
    lines: [],
    pattern: 0,
  })
  const search = new Script(
    'lines.map((line) => { const match = patterns[pattern].exec(line); return match && (match[1] ?? match[0]) })',
  )
  const givenUp = new Set<number>()
  return (lines, timeMs) => {
    const points: MetricPoint[] = []
    for (const [index, { Name }] of definitions.entries()) {
      if (givenUp.has(index)) continue
      Object.assign(context, { lines, pattern: index })
      try {
        // The script returns one text or null for each line.
        const found = search.runInContext(context, { timeout: SEARCH_MS_MAX }) as (string | null)[]
        for (const text of found) {
          const value = text === null || text.trim() === '' ? Number.NaN : Number(text)
          if (Number.isFinite(value)) points.push({ name: Name, value, timeMs })
        }
      } catch {
        givenUp.add(index)
        say(`[millrace] The pattern of the metric ${Name} takes too long and is given up.`)
      }
    }
    if (points.length > 0) {
      writeSync(file, points.map((point) => `${JSON.stringify(point)}\n`).join(''))
    }
  }
}
