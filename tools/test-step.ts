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
}

// A step that hangs must not take the whole run with it.
const STEP_LIMIT_MS = 30 * 60_000

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

/** A run of vitest, each of its tests counted. `env` is added to the environment of the tests. */
export function vitestStep(name: string, args: string[], env: Record<string, string> = {}): Step {
  return {
    name,
    async run() {
      const folder = join(root, '.cache', 'test-counts')
      const file = join(folder, `${name.replaceAll(' ', '-')}.json`)
      mkdirSync(folder, { recursive: true })
      rmSync(file, { force: true })
      const reporters = ['--reporter=default', '--reporter=./tools/count-reporter.ts']
      const { code, output } = await runProgram(
        join(root, 'node_modules', '.bin', 'vitest'),
        ['run', ...reporters, '--passWithNoTests', ...args],
        { ...env, MILLRACE_TEST_COUNTS: file },
      )
      return { ...counted(file, code), output }
    },
  }
}

function counted(file: string, code: number | string) {
  if (!existsSync(file)) return { passed: 0, failed: 1, skips: [] }
  const { passed, failed, skips, problems } = JSON.parse(readFileSync(file, 'utf8')) as Counts
  const allFailed = failed + problems
  return { passed, failed: code === 0 || allFailed > 0 ? allFailed : 1, skips }
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
