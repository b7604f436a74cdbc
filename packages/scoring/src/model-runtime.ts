import { invalid } from '@millrace/api/errors'
import { type Model, readModel } from '@millrace/models/mlmodel'
import { readModelEnvironment } from '@millrace/models/model-environment'
import { parseRequirement } from '@millrace/models/requirement'
import { localInterpreter } from './interpreter.ts'
import { type EnvironmentManager, prepareEnvironment } from './python-environment.ts'

export interface RuntimeOptions {
  /** `local` takes the Python there is and installs nothing. */
  manager: EnvironmentManager | 'local'
  /** Adds the MLflow that saved the model to what the model asks for. */
  installMlflow: boolean
  environment: NodeJS.ProcessEnv
  signal: AbortSignal
  log: (line: string) => void
}

/**
 * The interpreter that a model in a directory is to be run by.
 *
 * @throws ApiError when there is no model that Python can run, or no environment for it
 */
export async function preparePython(directory: string, options: RuntimeOptions): Promise<string> {
  const model = await readModel(directory)
  if (!model.flavors['python_function']) {
    const names = Object.keys(model.flavors).join(', ')
    throw invalid(`The model in ${directory} has no python_function flavor, only: ${names}.`)
  }
  if (options.manager === 'local') return (await localInterpreter(options.environment)).path
  const wanted = await readModelEnvironment(directory, model)
  if (options.installMlflow) addMlflow(wanted.requirements, model)
  return prepareEnvironment(wanted, { ...options, manager: options.manager })
}

function addMlflow(requirements: { name: string; line: string }[], model: Model): void {
  if (requirements.some(({ name }) => name === 'mlflow')) return
  requirements.push(
    parseRequirement(model.mlflowVersion ? `mlflow==${model.mlflowVersion}` : 'mlflow'),
  )
}
