import { ApiError } from '@millrace/api/errors'
import type { RunInfo } from '@millrace/api/runs'
import type { StoreOptions } from '@millrace/artifacts/artifact-store'
import type { Client } from '@millrace/client/client'
import type { TrackingServer } from '@millrace/models/tracking-server'
import { type Backends, openBackend, type ProjectJob } from './backend.ts'
import { interruptionOf, stoppedEnding } from './command-run.ts'
import { chooseParameters, entryCommand, entryPointOf } from './entry-command.ts'
import { withoutCredentials } from './git-source.ts'
import { readProject } from './mlproject-file.ts'
import { checkUris } from './parameter-values.ts'
import type { EnvironmentManager } from './project-environment.ts'
import { type FetchedProject, fetchProject, type ProjectSource } from './project-source.ts'
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
 * an artifact, and the run ends with what came of it. Whatever is wrong ends the run as FAILED with the
 * reason as a tag; what is wrong with the project or its parameters makes a run that never started.
 *
 * @throws ApiError with a sentence that says what to do
 */
export async function runProject(options: ProjectOptions): Promise<ProjectRunEnding> {
  const client = trackingClient(options.tracking, IMPATIENT)
  let source: ProjectSource | undefined
  const prepared = await prepare(options, (found) => {
    source = found
  }).catch(async (error: unknown) => {
    await recordFailure(options, error, source)
    throw error
  })
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

/**
 * Ends the run that was given, or one that is made for it, as FAILED for something that kept the
 * project from being run. A server that cannot be told is not worth another error. Who stops it before
 * there is a run gets none.
 */
export async function recordFailure(
  options: ProjectOptions,
  error: unknown,
  source: ProjectSource = { name: withoutCredentials(options.uri) },
): Promise<void> {
  const { signal } = options
  if (options.runId === undefined && signal.aborted) return
  const client = trackingClient(options.tracking, IMPATIENT)
  try {
    const run_id = options.runId ?? (await makeRun(client, source, options)).run_id
    if (options.runId === undefined) await labelRun(client, run_id, options)
    await markFailed(client, run_id, error, signal)
  } catch {
    // What went wrong first is what whoever called has to hear.
  }
}

type UnstartedJob = Omit<ProjectJob, 'run' | 'setTag'>

interface Prepared {
  fetched: FetchedProject
  job: UnstartedJob
  backend: Awaited<ReturnType<typeof openBackend>>
}

/** All that can be known before there is a run; the source as soon as it is known. */
async function prepare(
  options: ProjectOptions,
  onSource: (source: ProjectSource) => void,
): Promise<Prepared> {
  const { environment } = options
  const backend = await openBackend(options.backend ?? 'local', options.backends)
  const fetched = await fetchProject(options.uri, options.version, options)
  onSource(fetched.source)
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
  return makeRun(client, job.source, options)
}

async function makeRun(
  client: Client,
  source: ProjectSource,
  options: ProjectOptions,
): Promise<RunInfo> {
  const wanted = { name: options.experimentName, id: options.experimentId }
  return createRun(client, {
    experimentId: await resolveExperiment(client, wanted, options.log),
    entryPoint: options.entryPoint ?? 'main',
    source,
    parentRunId: options.parentRunId,
    environment: options.environment,
  })
}

async function labelRun({ runs }: Client, run_id: string, options: ProjectOptions): Promise<void> {
  const labels = {
    'mlflow.project.backend': options.backend ?? 'local',
    ...(options.runName !== undefined && { 'mlflow.runName': options.runName }),
    ...options.tags,
  }
  for (const [key, value] of Object.entries(labels)) await runs.setTag({ run_id, key, value })
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
  await labelRun(client, run_id, options)
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
