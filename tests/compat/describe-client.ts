import { existsSync } from 'node:fs'
import { describe, test } from 'vitest'
import {
  missingPython,
  type PythonEnvironmentName,
  pythonOf,
} from '../../tools/setup/python-environments.ts'
import { runChecks } from './python-checks.ts'

/**
 * Runs Python scripts of `scripts/` with a stock client, each against a fresh server, and makes each
 * check that they report a test. A missing interpreter is a skip on a desk and a failure in CI.
 */
export function describeClient(client: PythonEnvironmentName, scripts: string[]): void {
  if (!existsSync(pythonOf(client))) {
    test(`client ${client}`, (context) => {
      if (process.env['CI']) throw new Error(missingPython(client))
      context.skip(missingPython(client))
    })
    return
  }
  for (const script of scripts) {
    describe(`${client} ${script}`, async () => {
      for (const { check, ok, detail } of await runChecks(client, script)) {
        test(check, () => {
          if (!ok) throw failure(detail)
        })
      }
    })
  }
}

/** An error that shows the Python script's line instead of this file's. */
function failure(detail: string): Error {
  const error = new Error(detail)
  error.stack = ''
  return error
}
