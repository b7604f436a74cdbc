import { userInfo } from 'node:os'
import { ApiError, invalid } from '@millrace/api/errors'
import { LOG_BATCH_MAX, type RunInfo } from '@millrace/api/runs'
import type { Client } from '@millrace/client/client'
import type { EntryParameters } from './entry-command.ts'
import { shellQuote } from './entry-command.ts'
import type { ProjectSource } from './project-source.ts'

/** How a project's run ended. */
export interface ProjectEnding {
  status: 'FINISHED' | 'FAILED' | 'KILLED'
  /** What the command line ends with; 128 and the signal's number for a signal. */
  exitCode: number
  /** One sentence; undefined for FINISHED. */
  reason?: string
}

/** The tag that says why a project's run did not finish. */
export const FAILURE_TAG = 'millrace.project.failureReason'

// A server refuses longer ones.
const REASON_CHARACTERS_MAX = 4_000
const ENDED = ['FINISHED', 'FAILED', 'KILLED']

/** Which experiment, as `mlflow run` has it: one of the two, or the environment's. */
export interface WantedExperiment {
  name?: string | undefined
  id?: string | undefined
}

/**
 * The id of an experiment, which is made when its name is new; the one of id 0 when nothing is said
 * (MLflow 3.17 `_resolve_experiment_id`).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for both a name and an id
 */
export async function resolveExperiment(
  { experiments }: Client,
  { name, id }: WantedExperiment,
  log: (line: string) => void,
): Promise<string> {
  if (name && id) throw invalid("Specify only one of 'experiment_name' or 'experiment_id'.")
  if (!name) return id || '0'
  const find = async () => {
    const { experiment } = await experiments.getByName({ experiment_name: name })
    return experiment.experiment_id
  }
  try {
    return await find()
  } catch (error) {
    if (!isCode(error, 'RESOURCE_DOES_NOT_EXIST')) throw error
  }
  log(`'${name}' does not exist. Creating a new experiment`)
  try {
    return (await experiments.create({ name })).experiment_id
  } catch (error) {
    // Another run made it at the same moment.
    if (isCode(error, 'RESOURCE_ALREADY_EXISTS')) return find()
    throw error
  }
}

/** What a run is told about itself when it is made. */
export interface NewRun {
  experimentId: string
  entryPoint: string
  source: ProjectSource
  parentRunId?: string | undefined
  environment: NodeJS.ProcessEnv
}

/** Makes a run with the tags that MLflow gives the run of a project (3.17 `_create_run`). */
export async function createRun({ runs }: Client, wanted: NewRun): Promise<RunInfo> {
  const { source, entryPoint, parentRunId, experimentId } = wanted
  const user = userName(wanted.environment)
  const tags: Record<string, string | undefined> = {
    'mlflow.user': user,
    'mlflow.source.name': source.name,
    'mlflow.source.type': 'PROJECT',
    'mlflow.project.entryPoint': entryPoint,
    'mlflow.source.git.commit': source.commit,
    'mlflow.parentRunId': parentRunId,
    'mlflow.source.git.repoURL': source.repositoryUrl,
    'mlflow.source.git.branch': source.branch,
  }
  const { run } = await runs.create({
    experiment_id: experimentId,
    user_id: user,
    start_time: Date.now(),
    tags: Object.entries(tags).flatMap(([key, value]) =>
      value === undefined ? [] : [{ key, value }],
    ),
  })
  return run.info
}

/** Logs the values of an entry point, quoted for a shell as MLflow logs them. */
export async function logParameters(
  { runs }: Client,
  run_id: string,
  { declared, extra }: EntryParameters,
): Promise<void> {
  const params = [
    ...[...declared, ...extra].map(([key, value]) => ({ key, value: shellQuote(value) })),
  ]
  for (let from = 0; from < params.length; from += LOG_BATCH_MAX.params) {
    await runs.logBatch({ run_id, params: params.slice(from, from + LOG_BATCH_MAX.params) })
  }
}

/**
 * Sets the status of a run unless its own code has ended it, and says why it did not finish. A run
 * that was stopped is KILLED even if its code took the stop for a failure.
 */
export async function endRun(
  { runs }: Client,
  run_id: string,
  ending: ProjectEnding,
): Promise<void> {
  const { status, reason } = ending
  if (reason !== undefined) {
    const value = reason.slice(0, REASON_CHARACTERS_MAX)
    await runs.setTag({ run_id, key: FAILURE_TAG, value })
  }
  const { run } = await runs.get({ run_id })
  const isMistaken = status === 'KILLED' && run.info.status === 'FAILED'
  if (ENDED.includes(run.info.status) && !isMistaken) return
  await runs.update({ run_id, status, end_time: Date.now() })
}

/** As Python's `getpass.getuser`. */
function userName(environment: NodeJS.ProcessEnv): string {
  for (const name of ['LOGNAME', 'USER', 'LNAME', 'USERNAME']) {
    const value = environment[name]
    if (value) return value
  }
  return userInfo().username
}

function isCode(error: unknown, code: ApiError['code']): boolean {
  return error instanceof ApiError && error.code === code
}
