import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ApiError, invalid } from '@millrace/api/errors'
import { parseLocation } from '@millrace/artifacts/location'
import { fileAccess } from '../artifact-proxy.ts'
import { interruptionOf, stoppedEnding } from '../command-run.ts'
import { readProject } from '../mlproject-file.ts'
import { copyAll, type RemoteOptions } from '../remote-files.ts'
import {
  type ProjectOptions,
  type ProjectRunEnding,
  recordFailure,
  runProject,
} from '../run-project.ts'
import type { ProjectEnding } from '../tracked-run.ts'
import { IMPATIENT, trackingClient } from '../tracking-client.ts'
import { placeCode } from './submitted-code.ts'
import { prepareTrainingEnvironment } from './training-conda.ts'
import { readTrainingOptions, type TrainingOptions } from './training-options.ts'

/** What a container that SageMaker starts with `train` is given from outside. */
export interface TrainingSettings
  extends Pick<
    ProjectOptions,
    'stores' | 'backends' | 'environment' | 'signal' | 'log' | 'onOutput'
  > {
  /** `/opt/ml` */
  directory: string
  /** The server and its URI for the project's code; `uri` is that of a hyperparameter, if any. */
  trackingOf: (uri: string | undefined) => Pick<ProjectOptions, 'tracking' | 'trackingUri'>
}

// SageMaker shows the first 1024 characters.
const FAILURE_CHARACTERS_MAX = 1_024
const ARTIFACTS = 'mlflow_run_artifacts'

/**
 * Runs the project that was submitted with a SageMaker training job, as one MLflow run, and leaves
 * the run's artifacts where SageMaker packs the model from. What goes wrong is in the failure file.
 * Never throws.
 */
export async function train(settings: TrainingSettings): Promise<ProjectEnding> {
  try {
    const ending = await runJob(settings)
    if (ending.status === 'FAILED') await fail(settings, ending.reason ?? 'The project failed.')
    return ending
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const { signal } = settings
    if (signal.aborted) return stoppedEnding(interruptionOf(signal))
    await fail(settings, reason)
    return { status: 'FAILED', exitCode: 1, reason }
  }
}

async function runJob(settings: TrainingSettings): Promise<ProjectEnding> {
  const { directory, environment, log } = settings
  const options = readTrainingOptions(await readHyperparameters(directory))
  for (const warning of options.warnings) log(warning)
  const where = settings.trackingOf(options.trackingUri)
  const remote: RemoteOptions = { ...settings, tracking: where.tracking }
  // A server that is not there is worth knowing before an environment is installed.
  await trackingClient(where.tracking, IMPATIENT).experiments.search({ max_results: 1 })
  const code = join(directory, 'code')
  const wanted: ProjectOptions = {
    ...settings,
    ...where,
    ...options,
    uri: code,
    backendConfig: {},
    storageDirectory: options.storageDirectory,
    tags: {
      // A run that was given knows where it is from.
      ...(options.code && options.runId === undefined && { 'mlflow.source.name': options.code }),
      ...tagOf('sagemaker.training_job_name', environment['TRAINING_JOB_NAME']),
      ...tagOf('sagemaker.training_job_arn', environment['TRAINING_JOB_ARN']),
      ...tagOf('millrace.training.warnings', options.warnings.join(' ')),
    },
  }
  let chosen: Pick<ProjectOptions, 'environment' | 'manager' | 'backendConfig'>
  try {
    await placeCode(options.code, code, remote)
    chosen = {
      ...(await environmentOf(code, options, settings)),
      backendConfig: configOf(options.backendConfig),
    }
  } catch (error) {
    await recordFailure(wanted, error)
    throw error
  }
  const ending = await runProject({ ...wanted, ...chosen })
  await keepArtifacts(ending, join(directory, 'model', ARTIFACTS), remote)
  return ending
}

function tagOf(key: string, value: string | undefined): Record<string, string> {
  return value ? { [key]: value } : {}
}

async function readHyperparameters(directory: string): Promise<Record<string, string>> {
  const file = join(directory, 'input', 'config', 'hyperparameters.json')
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}'
    throw error
  })
  try {
    const values = Object.entries(JSON.parse(text) as Record<string, unknown>)
    const texts = values.map(([key, value]) => [
      key,
      typeof value === 'string' ? value : JSON.stringify(value),
    ])
    return Object.fromEntries(texts) as Record<string, string>
  } catch {
    throw invalid(`${file} is not a JSON object.`)
  }
}

/** The image's own conda environment for a conda.yaml, unless the job asks for something else. */
async function environmentOf(
  code: string,
  { manager }: TrainingOptions,
  settings: TrainingSettings,
): Promise<Pick<ProjectOptions, 'environment' | 'manager'>> {
  const { environment } = settings
  const { environment: declared } = await readProject(code)
  if (declared.kind === 'docker') {
    throw invalid(
      'The project has a docker_env, and a container cannot start containers: give it a ' +
        'python_env or conda_env, and train in the image that docker_env names.',
    )
  }
  const named = environment['CONDA_TRAINING_ENV']
  const isNamed = named !== undefined && named !== ''
  if (manager !== undefined || !(declared.kind === 'conda' || isNamed))
    return { environment, manager }
  const file = declared.kind === 'conda' ? declared.file : undefined
  const activated = await prepareTrainingEnvironment(named || 'training', file, settings)
  return { environment: activated, manager: 'local' }
}

function configOf(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {}
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    throw invalid('Hyperparameter sagemaker_mlflow_run_backend-config is not JSON.')
  }
}

/** Copies what a run has stored, and the models it has logged, wherever they are kept. */
async function keepArtifacts(
  { run }: ProjectRunEnding,
  target: string,
  options: RemoteOptions,
): Promise<void> {
  await mkdir(target, { recursive: true })
  const access = fileAccess(parseLocation(run.artifact_uri), options)
  if (!access) {
    throw new ApiError(
      'INVALID_STATE',
      `The run's artifacts at ${run.artifact_uri} cannot be read.`,
    )
  }
  await copyAll(access, target)
  const client = trackingClient(options.tracking, IMPATIENT)
  const { models = [] } = await client.loggedModels
    .search({ experiment_ids: [run.experiment_id], filter: `source_run_id = '${run.run_id}'` })
    .catch((error: unknown) => {
      // Servers before 3.0 keep models among the artifacts.
      if (error instanceof ApiError && error.code === 'ENDPOINT_NOT_FOUND') return { models: [] }
      throw error
    })
  for (const { info } of models) {
    const model = fileAccess(parseLocation(info.artifact_uri), options)
    if (!model) continue
    const folder = join(target, (info.name ?? info.model_id).replaceAll(/[^\w.-]/g, '_'))
    await rm(folder, { recursive: true, force: true })
    await copyAll(model, folder)
  }
}

async function fail({ directory, log }: TrainingSettings, reason: string): Promise<void> {
  log(reason)
  await mkdir(join(directory, 'output'), { recursive: true })
  await writeFile(join(directory, 'output', 'failure'), reason.slice(0, FAILURE_CHARACTERS_MAX))
}
