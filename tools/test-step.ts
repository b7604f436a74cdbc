import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Counts } from './count-reporter.ts'
import { root } from './setup/step.mjs'

/** One line of the test run. `run` never throws for a failing test: it returns what was counted. */
export interface Step {
  name: string
  run(): Promise<StepResult>
}

export interface StepResult {
  passed: number
  failed: number
  skips: { name: string; reason: string }[]
  /** Shown when something failed. */
  output: string
  /** Files of tests that failed at first and passed when they were run once more by themselves. */
  secondTries?: string[]
  /** The files that took longest. */
  slowest?: Counts['slowest']
}

// A step that hangs must not take the whole run with it.
const STEP_LIMIT_MS = 60 * 60_000

/** A program that counts as one test: it passes when it exits with 0. */
export function programStep(name: string, file: string, args: string[]): Step {
  return {
    name,
    async run() {
      const { code, output } = await runProgram(join(root, 'node_modules', '.bin', file), args)
      const passed = code === 0 ? 1 : 0
      return { passed, failed: 1 - passed, skips: [], output }
    },
  }
}

/**
 * A run of vitest, each of its tests counted. `env` is added to the environment of the tests.
 *
 * When a few files failed, these are run once more by themselves: on a machine that does two things
 * at once a time limit is sometimes missed. What then passes counts as passed and is named in
 * `secondTries`. Tests of what must never happen (`ONCE_ONLY`) have no second try, unless all that
 * happened is that they ran out of time.
 */
export function vitestStep(name: string, args: string[], env: Record<string, string> = {}): Step {
  return {
    name,
    async run() {
      const first = await runVitest(name, args, env)
      const { failedFiles, timedOutFiles, problems, ...result } = first
      if (result.failed === 0) return result
      const isWorthwhile =
        failedFiles.length > 0 &&
        failedFiles.length <= SECOND_TRIES_MAX &&
        problems === 0 &&
        !failedFiles.some((file) => ONCE_ONLY.test(file) && !timedOutFiles.includes(file))
      if (!isWorthwhile) return result
      const isKept = (arg: string) => arg.startsWith('--') && !arg.startsWith('--maxWorkers=')
      const options = [...args.filter(isKept), '--maxWorkers=1']
      const again = await runVitest(name, [...options, ...failedFiles], env)
      if (again.failed > 0) return { ...result, output: `${result.output}\n${again.output}` }
      return {
        ...result,
        passed: result.passed + result.failed,
        failed: 0,
        secondTries: failedFiles,
      }
    },
  }
}

/** More than this is no accident of the machine. */
const SECOND_TRIES_MAX = 3

/** Loss, doubles and torn reads come by chance: where they are looked for, once is once too often. */
const ONCE_ONLY =
  /campaign|model-check|whole-reads|retries|unanswered|load-network|database-load\.test|fuzz|hostile/

async function runVitest(name: string, args: string[], env: Record<string, string>) {
  const folder = join(root, '.cache', 'test-counts')
  const file = join(folder, `${name.replaceAll(' ', '-')}.json`)
  mkdirSync(folder, { recursive: true })
  rmSync(file, { force: true })
  const reporters = ['--reporter=default', `--reporter=${join(root, 'tools', 'count-reporter.ts')}`]
  const { code, output } = await runProgram(
    join(root, 'node_modules', '.bin', 'vitest'),
    ['run', ...reporters, '--passWithNoTests', ...args],
    { ...env, MILLRACE_TEST_COUNTS: file },
  )
  return { ...counted(file, code), output }
}

/** Nothing, where vitest ended before it could count. */
const NO_COUNTS: Counts = {
  passed: 0,
  failed: 0,
  skips: [],
  problems: 1,
  failedFiles: [],
  timedOutFiles: [],
  slowest: [],
}

function counted(file: string, code: number | string): Counts {
  const hasCounted = existsSync(file)
  const counts = hasCounted ? (JSON.parse(readFileSync(file, 'utf8')) as Counts) : NO_COUNTS
  const failed = counts.failed + counts.problems
  return { ...counts, failed: code === 0 || failed > 0 ? failed : 1 }
}

function runProgram(file: string, args: string[], env: Record<string, string> = {}) {
  return new Promise<{ code: number | string; output: string }>((resolve) => {
    const chunks: Buffer[] = []
    const child = spawn(process.execPath, [file, ...args], {
      cwd: root,
      env: { ...process.env, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: STEP_LIMIT_MS,
    })
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
    child.on('error', (error) => chunks.push(Buffer.from(error.message)))
    child.on('close', (code, signal) =>
      resolve({ code: code ?? signal ?? 'an error', output: Buffer.concat(chunks).toString() }),
    )
  })
}
