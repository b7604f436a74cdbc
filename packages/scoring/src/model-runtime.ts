import { join } from 'node:path'
import { invalid } from '@millrace/api/errors'
import { type Model, readModel } from '@millrace/models/mlmodel'
import { type ModelEnvironment, readModelEnvironment } from '@millrace/models/model-environment'
import { parseRequirement } from '@millrace/models/requirement'
import { localInterpreter } from './interpreter.ts'
import { condaPackages, hasConda, prepareModelConda } from './model-conda.ts'
import { type EnvironmentManager, prepareEnvironment } from './python-environment.ts'
import { runProgram } from './run-program.ts'

export interface RuntimeOptions {
  /** `local` takes the Python there is and installs nothing; `conda` makes do without one. */
  manager: EnvironmentManager | 'conda' | 'local'
  /** Adds the MLflow that saved the model to what the model asks for. */
  installMlflow: boolean
  /**
   * What runs the model: `onnx` takes its ONNX flavour in a process of ours, `auto` does where it can
   * and Python otherwise. Python unless given.
   */
  runtime?: 'auto' | 'python' | 'onnx'
  environment: NodeJS.ProcessEnv
  signal: AbortSignal
  log: (line: string) => void
}

/** How a model is run. */
export interface ModelRuntime {
  python: string
  /** The variables of its processes. */
  environment: NodeJS.ProcessEnv
}

/**
 * The interpreter that a model in a directory is to be run by, and the variables to run it with.
 *
 * @throws ApiError when there is no model that Python can run, or no environment for it
 */
export async function prepareRuntime(
  directory: string,
  options: RuntimeOptions,
): Promise<ModelRuntime> {
  const { environment, manager, installMlflow } = options
  const model = await readModel(directory)
  if (!model.flavors['python_function']) {
    const names = Object.keys(model.flavors).join(', ')
    throw invalid(`The model in ${directory} has no python_function flavor, only: ${names}.`)
  }
  if (manager === 'local')
    return { python: (await localInterpreter(environment)).path, environment }
  const wanted = await readModelEnvironment(directory, model)
  if (installMlflow) addMlflow(wanted.requirements, model)
  if (manager !== 'conda') {
    return { python: await prepareEnvironment(wanted, { ...options, manager }), environment }
  }
  const asked = await condaPackages(directory, model)
  if (hasConda(environment)) {
    const made = await prepareModelConda(asked, wanted, options)
    return { python: join(made.directory, 'bin', 'python'), environment: made.variables }
  }
  return { python: await withoutConda(asked.packages, wanted, options), environment }
}

/** What comes nearest where there is no conda: its Python and its pip packages. */
async function withoutConda(
  packages: string[],
  wanted: ModelEnvironment,
  options: RuntimeOptions,
): Promise<string> {
  const left = packages.length > 0 ? `left out are ${packages.join(', ')}` : 'nothing is left out'
  options.log(
    'There is no conda, mamba or micromamba on PATH: the environment gets the Python and the pip ' +
      `packages of the model's conda.yaml; ${left}.`,
  )
  const hasUv = (await runProgram('uv', ['--version'], options)).status === 0
  const manager = hasUv ? 'uv' : 'virtualenv'
  return prepareEnvironment({ ...wanted, leftOut: [] }, { ...options, manager })
}

function addMlflow(requirements: { name: string; line: string }[], model: Model): void {
  if (requirements.some(({ name }) => name === 'mlflow')) return
  requirements.push(
    parseRequirement(model.mlflowVersion ? `mlflow==${model.mlflowVersion}` : 'mlflow'),
  )
}
