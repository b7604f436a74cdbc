import { writeFileSync } from 'node:fs'
import type { Reporter, TestModule } from 'vitest/node'

/** What a run of vitest came to; `problems` are failures that belong to no test. */
export interface Counts {
  passed: number
  failed: number
  skips: { name: string; reason: string }[]
  problems: number
  /** Paths of the files in which something failed, from the root of the repository. */
  failedFiles: string[]
  /** Those of them in which nothing failed but that time ran out. */
  timedOutFiles: string[]
  /** The files that took longest, in seconds with what they import. */
  slowest: { file: string; seconds: number }[]
}

const SLOWEST_COUNT = 5

/** Writes the counts of a run as JSON to the file that MILLRACE_TEST_COUNTS names. */
export default class CountReporter implements Reporter {
  onTestRunEnd(testModules: readonly TestModule[], unhandledErrors: readonly unknown[]) {
    const counts: Counts = {
      passed: 0,
      failed: 0,
      skips: [],
      problems: unhandledErrors.length,
      failedFiles: [],
      timedOutFiles: [],
      slowest: testModules
        .map((testModule) => ({
          file: testModule.relativeModuleId,
          seconds: secondsOf(testModule),
        }))
        .sort((a, b) => b.seconds - a.seconds)
        .slice(0, SLOWEST_COUNT),
    }
    for (const testModule of testModules) count(testModule, counts)
    const file = process.env['MILLRACE_TEST_COUNTS']
    if (file) writeFileSync(file, JSON.stringify(counts))
  }
}

function secondsOf(testModule: TestModule): number {
  const { collectDuration, duration } = testModule.diagnostic()
  return Math.round((collectDuration + duration) / 1000)
}

function count(testModule: TestModule, counts: Counts) {
  const failedBefore = counts.failed
  for (const test of testModule.children.allTests()) {
    const result = test.result()
    if (result.state === 'passed') counts.passed += 1
    else if (result.state === 'skipped') {
      counts.skips.push({ name: test.fullName, reason: result.note ?? 'no reason given' })
    } else counts.failed += 1
  }
  // A module that could not be loaded, or whose hooks failed, may have no failed test to show for it.
  if (testModule.state() !== 'failed') return
  counts.failedFiles.push(testModule.relativeModuleId)
  const errors = [...testModule.children.allTests()]
    .flatMap((test) => test.result().errors ?? [])
    .concat(testModule.errors())
  const isTimeout = ({ message }: { message: string }) => /^(Test|Hook) timed out in /.test(message)
  if (errors.length > 0 && errors.every(isTimeout)) {
    counts.timedOutFiles.push(testModule.relativeModuleId)
  }
  if (counts.failed === failedBefore) counts.failed += 1
}
