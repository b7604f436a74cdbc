import { parseArgs } from 'node:util'
import { parts } from './test-parts.ts'
import type { StepResult } from './test-step.ts'

/** Of a step that takes longer it is said what takes so long. */
const SLOW_SECONDS = 60

const LAST_LINES = 10

/**
 * Runs parts of the tests and prints a line for each step that counted something, then what needed a
 * second try, then skips with their reasons, then `N passed, N failed` alone on a line. Returns the
 * exit code: 0 when nothing failed.
 */
export async function runTests(names: string[]): Promise<number> {
  const results: StepResult[] = []
  for (const step of names.flatMap((name) => parts[name] ?? [])) {
    const startedMs = performance.now()
    const result = await step.run()
    results.push(result)
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    if (result.passed + result.failed + result.skips.length === 0) continue
    console.log(`${step.name.padEnd(22)} ${seconds.padStart(7)} s  ${counts([result])}`)
    if (Number(seconds) > SLOW_SECONDS && result.slowest) {
      const files = result.slowest.map(({ file, seconds }) => `${file} ${seconds} s`)
      console.log(`  slowest: ${files.join(', ')}`)
    }
    if (result.failed > 0) console.log(`\n${result.output}\n`)
  }

  for (const { secondTries = [], output } of results) {
    if (secondTries.length === 0) continue
    console.log(`passed at the second try: ${secondTries.join(', ')}`)
    console.log(reasons(output))
  }
  // Once more at the end, for whoever sees no more of a long record.
  for (const { failed, output } of results) if (failed > 0) console.log(reasons(output))
  for (const { name, reason } of results.flatMap(({ skips }) => skips)) {
    console.log(`skipped: ${name}: ${reason}`)
  }
  console.log(counts(results))
  return results.some(({ failed }) => failed > 0) ? 1 : 0
}

/** What failed and why, from the lines of vitest; of another program the last lines. */
function reasons(output: string): string {
  const lines = output.trimEnd().split('\n')
  const named = lines.filter((line) => /^ FAIL |^\w*Error\b/.test(line))
  return [...new Set(named.length > 0 ? named : lines.slice(-LAST_LINES))].join('\n')
}

function counts(results: StepResult[]): string {
  const sum = (count: (result: StepResult) => number) =>
    results.reduce((total, result) => total + count(result), 0)
  const skipped = sum(({ skips }) => skips.length)
  const line = `${sum(({ passed }) => passed)} passed, ${sum(({ failed }) => failed)} failed`
  return skipped > 0 ? `${line}, ${skipped} skipped` : line
}

/** The parts that the command line asks for; all of them when it names none. */
function chosenParts(args: string[]): string[] {
  const { only } = parseArgs({ args, options: { only: { type: 'string', multiple: true } } }).values
  const names = only?.flatMap((name) => name.split(',')) ?? Object.keys(parts)
  const unknown = names.find((name) => !(name in parts))
  if (unknown !== undefined) {
    throw new Error(`--only takes ${Object.keys(parts).join(', ')}; it got '${unknown}'`)
  }
  return names
}

if (import.meta.main) process.exitCode = await runTests(chosenParts(process.argv.slice(2)))
