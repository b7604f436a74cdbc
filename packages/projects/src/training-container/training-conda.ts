import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiError, invalid } from '@millrace/api/errors'
import { activatedVariables, findConda } from '@millrace/scoring/conda-environment'
import { runProgram } from '@millrace/scoring/run-program'
import type { PrepareOptions } from '../project-environment.ts'

const MARKER = 'millrace-training.json'

/**
 * The variables of the conda environment that a training image was made with, brought up to what a
 * project's file asks for. An environment that was brought up to the same file before is not touched.
 *
 * @throws ApiError for no conda, no such environment, or no mlflow in it, each in its own words
 */
export async function prepareTrainingEnvironment(
  name: string,
  file: string | undefined,
  options: PrepareOptions,
): Promise<NodeJS.ProcessEnv> {
  const conda = findConda(options.environment)
  const run = async (args: string[]) => {
    const { status, lastLines } = await runProgram(conda.run, args, options)
    options.signal.throwIfAborted()
    return { ok: status === 0, lastLines }
  }
  const listed = await run(['env', 'list', '--json'])
  const prefix = prefixOf(listed.lastLines.join('\n'), name)
  if (prefix === undefined) {
    throw invalid(
      `There is no conda environment '${name}' in this image: make it, or set CONDA_TRAINING_ENV.`,
    )
  }
  if (file !== undefined) {
    const digest = createHash('sha256')
      .update(await readFile(file))
      .digest('hex')
    const marker = join(prefix, MARKER)
    const isUpToDate = existsSync(marker) && (await readFile(marker, 'utf8')) === digest
    if (!isUpToDate) {
      options.log(`Updating conda environment ${name}`)
      const updated = await run(['env', 'update', '-p', prefix, '--file', file])
      if (!updated.ok) {
        const reason = updated.lastLines.slice(-6).join(' ')
        throw new ApiError(
          'INVALID_STATE',
          `Conda environment '${name}' cannot be updated: ${reason}`,
        )
      }
      await writeFile(marker, digest)
    }
  }
  const mlflow = await run(['run', '-p', prefix, 'python', '-c', 'import mlflow'])
  if (!mlflow.ok) {
    throw invalid(
      `There is no mlflow in conda environment '${name}': add it to the environment, or to the ` +
        "project's conda.yaml.",
    )
  }
  return activatedVariables(conda, prefix, options)
}

function prefixOf(text: string, name: string): string | undefined {
  try {
    const { envs } = JSON.parse(text) as { envs: string[] }
    return envs.find((prefix) => prefix.split('/').at(-1) === name)
  } catch {
    return undefined
  }
}
