import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { type Model, parseYaml } from '@millrace/models/mlmodel'
import { declaredByConda, type ModelEnvironment } from '@millrace/models/model-environment'
import {
  type CondaEnvironment,
  type CondaOptions,
  findConda,
  prepareCondaEnvironment,
} from './conda-environment.ts'

// A name, or a user's channel of anaconda.org: `conda-forge`, `pytorch/label/nightly`.
const CHANNEL = /^[A-Za-z0-9][\w.-]*(?:\/[\w.-]+){0,3}$/
// `conda-forge::gdal >=3.6,<4`, `gdal=3.6=py311_*`: no address, no path and no option.
const PACKAGE = /^(?:[A-Za-z0-9][\w.-]*::)?[A-Za-z_][\w.-]*(?:[\s=<>!~][\w\s.*+=<>!~,|-]*)?$/

/** What the conda file of a model asks for beside Python and what pip installs. */
export async function condaPackages(
  directory: string,
  { environmentFiles: { conda } }: Pick<Model, 'environmentFiles'>,
): Promise<{ channels: string[]; packages: string[] }> {
  const text = await readFile(join(directory, conda), 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return ''
    throw error
  })
  const file: unknown = parseYaml(text, conda)
  const named = typeof file === 'object' && file !== null && 'channels' in file && file.channels
  const channels = Array.isArray(named) ? named.map(String) : []
  return { channels, packages: declaredByConda(text, conda, 'model').leftOut }
}

/** Whether there is a conda, mamba or micromamba. */
export function hasConda(environment: NodeJS.ProcessEnv): boolean {
  try {
    findConda(environment)
    return true
  } catch {
    return false
  }
}

/**
 * The conda environment of a model, made unless it is there. Of the model's file it has what names
 * packages; what would let a model choose where they come from is refused, as in a list for pip.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for what is refused, INVALID_STATE when conda fails
 */
export async function prepareModelConda(
  { channels, packages }: { channels: string[]; packages: string[] },
  wanted: ModelEnvironment,
  options: CondaOptions,
): Promise<CondaEnvironment> {
  const strangeChannel = channels.find((channel) => !CHANNEL.test(channel))
  if (strangeChannel !== undefined) {
    throw invalid(`The model's conda channel '${strangeChannel}' is refused: it must be a name.`)
  }
  const strangePackage = packages.find((name) => !PACKAGE.test(name))
  if (strangePackage !== undefined) {
    throw invalid(
      `The model's conda dependency '${strangePackage}' is refused: it must be a name and versions.`,
    )
  }
  const folder = await mkdtemp(join(tmpdir(), 'millrace-conda-'))
  try {
    const file = join(folder, 'conda.yaml')
    const constraints = wanted.constraints.map(({ line }) => line)
    await writeFile(
      join(folder, 'constraints.txt'),
      constraints.map((line) => `${line}\n`).join(''),
    )
    await writeFile(file, environmentFile(channels, packages, wanted))
    return await prepareCondaEnvironment(file, options)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** JSON is YAML. The constraints are in a comment, since the text is the environment's name. */
function environmentFile(channels: string[], packages: string[], wanted: ModelEnvironment): string {
  const { python, buildRequirements, requirements, constraints } = wanted
  const build = buildRequirements.map(({ line }) => line)
  const constraint = constraints.length > 0 ? ['-c constraints.txt'] : []
  const pip = [...constraint, ...requirements.map(({ line }) => line)]
  const dependencies = [
    ...(python === undefined ? [] : [`python=${python}`]),
    ...(build.some((line) => line.startsWith('pip')) ? build : ['pip', ...build]),
    ...packages,
    ...(pip.length > 0 ? [{ pip }] : []),
  ]
  const file = { ...(channels.length > 0 && { channels }), dependencies }
  return `${JSON.stringify(file, null, 1)}\n# ${JSON.stringify(constraints)}\n`
}
