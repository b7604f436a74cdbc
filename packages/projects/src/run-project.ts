import { ApiError } from '@millrace/api/errors'
import type { RunInfo } from '@millrace/api/runs'
import type { StoreOptions } from '@millrace/artifacts/artifact-store'
import type { Client } from '@millrace/client/client'
import type { TrackingServer } from '@millrace/models/tracking-server'
import { type Backends, openBackend, type ProjectJob } from './backend.ts'
import { interruptionOf, stoppedEnding } from './command-run.ts'
import { chooseParameters, entryCommand, entryPointOf } from './entry-command.ts'
import { readProject } from './mlproject-file.ts'
import { checkUris } from './parameter-values.ts'
import type { EnvironmentManager } from './project-environment.ts'
import { type FetchedProject, fetchProject } from './project-source.ts'
import { openRunLog } from './run-log.ts'
import {
  createRun,
  endRun,
  logParameters,
  type ProjectEnding,
  resolveExperiment,
} from './tracked-run.ts'
import { IMPATIENT, PATIENT, trackingClient } from './tracking-client.ts'

/** What `mlflow run` is told, by the names of `mlflow.projects.run`. */
export interface ProjectOptions {
  uri: string
  entryPoint?: string
  version?: string | undefined
  parameters?: ReadonlyMap<string, string>
  dockerArgs?: ReadonlyMap<string, string | true>
  experimentName?: string | undefined
  experimentId?: string | undefined
  backend?: string
  backendConfig?: Readonly<Record<string, unknown>>
  storageDirectory?: string | undefined
  /** Uses a run that is there instead of making one. */
  runId?: string | undefined
  runName?: string | undefined
  parentRunId?: string | undefined
  manager?: EnvironmentManager | undefined
  buildImage?: boolean
  /** Tags of the run beside MLflow's own. */
  tags?: Readonly<Record<string, string>>
  tracking: TrackingServer
  /** MLFLOW_TRACKING_URI for the project's own code. */
  trackingUri: string
  stores: StoreOptions
  backends: Backends
  environment: NodeJS.ProcessEnv
  /** Aborted with an `Interruption` to stop the run. */
  signal: AbortSignal
  /** Tells a person what happens. */
  log: (line: string) => void
  onOutput: (chunk: Buffer, stream: 'stdout' | 'stderr') => void
}

export type ProjectRunEnding = ProjectEnding & { run: RunInfo }

/**
 * Runs an entry point of a project to its end, as `mlflow run` does: a run is made with MLflow's tags
 * and params, the environment is made unless it is there, the command is run, what it writes becomes
 * an artifact, and the run ends with what came of it. What is wrong with the project or its
 * parameters is found before there is a run; what is found later ends the run as FAILED with the
 * reason as a tag.
 *
 * @throws ApiError with a sentence that says what to do
 */
export async function runProject(options: ProjectOptions): Promise<ProjectRunEnding> {
  const client = trackingClient(options.tracking, IMPATIENT)
  let prepared: Prepared
  try {
    prepared = await prepare(options)
  } catch (error) {
    if (options.runId !== undefined) await markFailed(client, options.runId, error, options.signal)
    throw error
  }
  await using _ = prepared.fetched
  const run = await openRun(client, prepared, options)
  try {
    const ending = await runTo(client, run, prepared, options)
    await end(options, run, ending)
    return { ...ending, run }
  } catch (error) {
    if (options.signal.aborted) {
      const ending = stoppedEnding(interruptionOf(options.signal))
      await end(options, run, ending)
      return { ...ending, run }
    }
    await markFailed(trackingClient(options.tracking, PATIENT), run.run_id, error, options.signal)
    throw error
  }
}

type UnstartedJob = Omit<ProjectJob, 'run' | 'setTag'>

interface Prepared {
  fetched: FetchedProject
  job: UnstartedJob
  backend: Awaited<ReturnType<typeof openBackend>>
}

/** All that can be known before there is a run. */
async function prepare(options: ProjectOptions): Promise<Prepared> {
  const { environment } = options
  const backend = await openBackend(options.backend ?? 'local', options.backends)
  const fetched = await fetchProject(options.uri, options.version, options)
  try {
    const project = await readProject(fetched.directory)
    const shell = environment['SHELL'] || 'bash'
    const entryPoint = entryPointOf(project, options.entryPoint ?? 'main', shell)
    const parameters = chooseParameters(entryPoint, options.parameters ?? new Map())
    // For its refusals: the values are not what the command gets.
    entryCommand(entryPoint, parameters)
    const job: UnstartedJob = {
      ...options,
      project,
      source: fetched.source,
      entryPoint,
      parameters,
      version: options.version,
      config: options.backendConfig ?? {},
      manager: options.manager,
      storageDirectory: options.storageDirectory,
      buildImage: options.buildImage ?? false,
      dockerArgs: options.dockerArgs ?? new Map(),
    }
    await backend.check?.(job)
    return { fetched, job, backend }
  } catch (error) {
    await fetched[Symbol.asyncDispose]()
    throw error
  }
}

async function openRun(
  client: Client,
  { job }: Prepared,
  options: ProjectOptions,
): Promise<RunInfo> {
  if (options.runId !== undefined) {
    const { run } = await client.runs.get({ run_id: options.runId })
    return run.info
  }
  const wanted = { name: options.experimentName, id: options.experimentId }
  return createRun(client, {
    experimentId: await resolveExperiment(client, wanted, options.log),
    entryPoint: job.entryPoint.name,
    source: job.source,
    parentRunId: options.parentRunId,
    environment: options.environment,
  })
}

async function runTo(
  client: Client,
  run: RunInfo,
  { job, backend }: Prepared,
  options: ProjectOptions,
): Promise<ProjectEnding> {
  const { run_id } = run
  const setTag = async (key: string, value: string) => {
    await client.runs.setTag({ run_id, key, value })
  }
  checkUris(job.entryPoint, job.parameters)
  if (options.runId === undefined) await logParameters(client, run_id, job.parameters)
  await setTag('mlflow.project.backend', options.backend ?? 'local')
  if (options.runName !== undefined) await setTag('mlflow.runName', options.runName)
  for (const [key, value] of Object.entries(options.tags ?? {})) await setTag(key, value)
  const kept = await openRunLog(new Date())
  const onOutput: ProjectJob['onOutput'] = (chunk, stream) => {
    kept.write(chunk)
    options.onOutput(chunk, stream)
  }
  try {
    return await backend.run({ ...job, run, setTag, onOutput })
  } finally {
    await kept.keep(run.artifact_uri, options)
  }
}

/** Ends a run, and says how to mend it by hand when the server does not hear of it. */
async function end(options: ProjectOptions, run: RunInfo, ending: ProjectEnding): Promise<void> {
  try {
    await endRun(trackingClient(options.tracking, PATIENT), run.run_id, ending)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ApiError(
      'TEMPORARILY_UNAVAILABLE',
      `The project is done (${ending.status}, exit code ${ending.exitCode}) but run ${run.run_id} ` +
        `could not be told: ${reason} Until it is, it shows as running; --run-id ${run.run_id} ` +
        'runs the project again in it.',
      { cause: error },
    )
  }
}

/** Ends a run for what went wrong, which matters more than whether that could be noted. */
async function markFailed(
  client: Client,
  runId: string,
  error: unknown,
  signal: AbortSignal,
): Promise<void> {
  const reason = error instanceof Error ? error.message : String(error)
  const ending: ProjectEnding = signal.aborted
    ? stoppedEnding(interruptionOf(signal))
    : { status: 'FAILED', exitCode: 1, reason }
  await endRun(client, runId, ending).catch(() => {})
}
