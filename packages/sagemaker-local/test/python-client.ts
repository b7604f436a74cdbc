import { execFile } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TestContext } from 'vitest'
import {
  missingPython,
  type PythonEnvironmentName,
  pythonOf,
} from '../../../tools/setup/python-environments.ts'
import type { TestPlane } from './start-test-plane.ts'

const run = promisify(execFile)

/** Leaves a test out where an environment is not installed, which in CI is a failure. */
export async function needPython(
  environment: PythonEnvironmentName,
  context: TestContext,
): Promise<void> {
  const isThere = await run(pythonOf(environment), ['--version']).then(
    () => true,
    () => false,
  )
  if (!isThere && process.env['CI']) throw new Error(missingPython(environment))
  context.skip(!isThere, missingPython(environment))
}

/**
 * Runs a script of this folder with a stock client whose configuration names the control plane, and
 * gives the object of JSON that it prints last.
 */
export async function observe(
  { directory, url }: Pick<TestPlane, 'directory' | 'url'>,
  environment: PythonEnvironmentName,
  script: string,
  args: string[],
): Promise<Record<string, unknown>> {
  const home = await mkdtemp(join(directory, 'home-'))
  const config = join(home, 'config')
  await writeFile(config, `[default]\nendpoint_url = ${url}\nregion = us-east-1\n`)
  const { stdout } = await run(
    pythonOf(environment),
    [join(import.meta.dirname, script), ...args],
    {
      cwd: home,
      env: {
        HOME: home,
        AWS_CONFIG_FILE: config,
        AWS_ACCESS_KEY_ID: 'test',
        AWS_SECRET_ACCESS_KEY: 'test',
        NO_PROXY: '127.0.0.1',
      },
    },
  )
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>
}
