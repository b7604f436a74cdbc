import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  ensurePythonEnvironment,
  missingPython,
  type PythonEnvironmentName,
  pythonOf,
} from '../../../tools/setup/python-environments.ts'
import { hashOf } from '../../../tools/setup/stamp.mjs'
import { root, runStep } from '../../../tools/setup/step.mjs'

const SCRIPT = join(import.meta.dirname, 'make_models.py')

/** Models that a stock MLflow has saved, and the Python that saved them. */
export interface ScoringModels {
  python: string
  directory(name: string): string
}

/** The models of make_models.py, saved by that release once and kept for later runs. */
export async function scoringModels(environment: PythonEnvironmentName): Promise<ScoringModels> {
  if (!(await ensurePythonEnvironment(environment))) throw new Error(missingPython(environment))
  const python = pythonOf(environment)
  const stamp = hashOf([environment, await readFile(SCRIPT, 'utf8')])
  const folder = join(root, '.cache', 'scoring-models', stamp)
  if (!existsSync(folder)) await makeModels(environment, python, folder)
  return { python, directory: (name) => join(folder, name) }
}

async function makeModels(environment: string, python: string, folder: string) {
  // Made aside and renamed, so that two test files that start together do not see half of it.
  const partial = `${folder}.${process.pid}`
  await mkdir(partial, { recursive: true })
  await runStep({
    title: `Saving models with ${environment}`,
    file: python,
    args: [SCRIPT, partial],
    advice: 'Remove .cache/scoring-models and run the same command again.',
    env: { ...process.env, MLFLOW_DISABLE_TELEMETRY: 'true', GIT_PYTHON_REFRESH: 'quiet' },
  })
  await rename(partial, folder).catch(() => rm(partial, { recursive: true }))
}
