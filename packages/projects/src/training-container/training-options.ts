import { invalid } from '@millrace/api/errors'
import { ENVIRONMENT_MANAGERS, type EnvironmentManager } from '../project-environment.ts'

/** What the hyperparameters of a training job ask of `run`. */
export interface TrainingOptions {
  /** `sagemaker_submit_directory` */
  code: string | undefined
  parameters: Map<string, string>
  dockerArgs: Map<string, string | true>
  entryPoint?: string
  version?: string
  experimentId?: string
  experimentName?: string
  runId?: string
  runName?: string
  backend?: string
  backendConfig?: string
  storageDirectory?: string
  manager?: EnvironmentManager
  buildImage?: true
  trackingUri?: string
  /** One sentence for each key that is not what it should be. */
  warnings: string[]
}

const RUN_PREFIX = 'sagemaker_mlflow_run_'
const MLFLOW_PREFIX = 'sagemaker_mlflow_'
const RESERVED = /^(?:sagemaker_|default_user_module_name$|_tuning_objective_metric$)/
const TEXT_OPTIONS = {
  'entry-point': 'entryPoint',
  version: 'version',
  'experiment-id': 'experimentId',
  'experiment-name': 'experimentName',
  'run-id': 'runId',
  'run-name': 'runName',
  backend: 'backend',
  'backend-config': 'backendConfig',
  'storage-dir': 'storageDirectory',
  'tracking-uri': 'trackingUri',
} as const
const FLAGS = ['build-image', 'skip-image-build', 'no-conda']

/**
 * Sorts the hyperparameters of a job: `sagemaker_mlflow_run_<option>` is an option of `run`, with
 * `-` or `_` in it and JSON `null` for a bare flag; others that SageMaker reserves are its own; the
 * rest are parameters of the project. Values may be JSON or plain text.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for an option whose value cannot be used
 */
export function readTrainingOptions(hyperparameters: Readonly<Record<string, string>>) {
  const options: TrainingOptions = {
    code: undefined,
    parameters: new Map(),
    dockerArgs: new Map(),
    warnings: [],
  }
  const entries = Object.entries(hyperparameters)
  // A key by its right name counts more than one that is only understood.
  const misspelt = ([key]: [string, string]) => Number(!key.startsWith(RUN_PREFIX))
  for (const [key, text] of entries.sort((a, b) => misspelt(b) - misspelt(a))) {
    if (key === 'sagemaker_submit_directory') options.code = plainText(text)
    else if (key.startsWith(RUN_PREFIX)) {
      const name = dashed(key.slice(RUN_PREFIX.length))
      if (!setOption(options, name, key, text)) options.warnings.push(unknown(key))
    } else if (key.startsWith(MLFLOW_PREFIX)) {
      const name = dashed(key.slice(MLFLOW_PREFIX.length))
      const isUnderstood = setOption(options, name, key, text)
      options.warnings.push(
        isUnderstood
          ? `Hyperparameter ${key} is taken for ${RUN_PREFIX}${name}; write it that way.`
          : unknown(key),
      )
    } else if (!RESERVED.test(key)) options.parameters.set(key, plainText(text))
  }
  return options
}

function unknown(key: string): string {
  return `Hyperparameter ${key} is no option of \`run\` and is not used.`
}

/** Whether there is such an option. */
function setOption(options: TrainingOptions, name: string, key: string, text: string): boolean {
  // SDK 2 sends Python's None as its name.
  const value = text === 'null' || text === 'None' ? undefined : plainText(text)
  const need = () => {
    if (value !== undefined && value !== '') return value
    throw invalid(`Hyperparameter ${key} needs a value.`)
  }
  const field = Object.hasOwn(TEXT_OPTIONS, name)
    ? TEXT_OPTIONS[name as keyof typeof TEXT_OPTIONS]
    : undefined
  if (field !== undefined) options[field] = need()
  else if (name === 'env-manager') options.manager = managerOf(need(), key)
  else if (name === 'docker-args') addPairs(options.dockerArgs, text, key)
  else if (name === 'param-list') {
    const pairs = new Map<string, string | true>()
    addPairs(pairs, text, key)
    for (const [name, value] of pairs) options.parameters.set(name, String(value))
  } else if (FLAGS.includes(name)) {
    if (value === 'false') return true
    if (value !== undefined && value !== 'true' && value !== '') {
      throw invalid(`Hyperparameter ${key} is a flag: its value is null, not '${value}'.`)
    }
    if (name === 'build-image') options.buildImage = true
    if (name === 'no-conda') options.manager = 'local'
  } else return false
  return true
}

function managerOf(text: string, key: string): EnvironmentManager {
  const manager = ENVIRONMENT_MANAGERS.find((name) => name === text)
  if (manager) return manager
  throw invalid(`Hyperparameter ${key} is '${text}'; it takes ${ENVIRONMENT_MANAGERS.join(', ')}.`)
}

/** `name=value`, or JSON: a list of them, or names with values, `null` for a flag. */
function addPairs(into: Map<string, string | true>, text: string, key: string): void {
  const value = json(text)
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    for (const [name, one] of Object.entries(value)) {
      into.set(name, one === null || one === true ? true : String(one))
    }
    return
  }
  for (const one of Array.isArray(value) ? value : [value]) {
    if (typeof one !== 'string' || one === '')
      throw invalid(`Hyperparameter ${key} needs name=value.`)
    const at = one.indexOf('=')
    into.set(at < 0 ? one : one.slice(0, at), at < 0 ? true : one.slice(at + 1))
  }
}

function dashed(name: string): string {
  return name.replaceAll('_', '-').toLowerCase()
}

/** A JSON text is what it says; numbers and all else stay as they were written. */
function plainText(text: string): string {
  const value = json(text)
  if (value === null) return ''
  return typeof value === 'string' ? value : text
}

function json(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
