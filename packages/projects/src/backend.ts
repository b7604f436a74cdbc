import { invalid } from '@millrace/api/errors'
import type { RunInfo } from '@millrace/api/runs'
import type { StoreOptions } from '@millrace/artifacts/artifact-store'
import type { TrackingServer } from '@millrace/models/tracking-server'
import type { EntryParameters } from './entry-command.ts'
import type { EntryPoint, Project } from './mlproject-file.ts'
import type { EnvironmentManager } from './project-environment.ts'
import type { ProjectSource } from './project-source.ts'
import type { ProjectEnding } from './tracked-run.ts'

/** Where and how projects run: on this machine, in a cluster, as a training job. */
export interface Backend {
  /**
   * Looks at what can be wrong before there is a run.
   *
   * @throws ApiError INVALID_PARAMETER_VALUE saying what to change
   */
  check?(job: Omit<ProjectJob, 'run' | 'setTag'>): void | Promise<void>
  /** Runs the project to its end; what it throws makes the run FAILED, with the message as reason. */
  run(job: ProjectJob): Promise<ProjectEnding>
}

/** Backends by the name that `--backend` takes; a backend is loaded when it is asked for. */
export type Backends = Readonly<Record<string, () => Promise<Backend>>>

/** One run of one entry point, which exists on the tracking server. */
export interface ProjectJob {
  project: Project
  /** As the user named it, and its version. */
  uri: string
  version: string | undefined
  source: ProjectSource
  entryPoint: EntryPoint
  /** As given and by default: paths and URIs are not looked at yet. */
  parameters: EntryParameters
  run: RunInfo
  tracking: TrackingServer
  /** MLFLOW_TRACKING_URI for the project's own code. */
  trackingUri: string
  /** What `--backend-config` holds. */
  config: Readonly<Record<string, unknown>>
  manager: EnvironmentManager | undefined
  storageDirectory: string | undefined
  buildImage: boolean
  /** Arguments of `docker run`; `true` for a flag. */
  dockerArgs: ReadonlyMap<string, string | true>
  /** How the stores of artifacts are reached. */
  stores: StoreOptions
  environment: NodeJS.ProcessEnv
  /** Aborted with an `Interruption`. */
  signal: AbortSignal
  log: (line: string) => void
  /** What the project writes; it is shown and kept. */
  onOutput: (chunk: Buffer, stream: 'stdout' | 'stderr') => void
  /** Sets a tag of the run. */
  setTag: (key: string, value: string) => Promise<void>
}

export const BUILT_IN_BACKENDS: Backends = {
  local: async () => (await import('./local-backend.ts')).localBackend,
  kubernetes: async () => (await import('./kubernetes-backend.ts')).kubernetesBackend,
}

/**
 * The backend of a name.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE naming those there are
 */
export async function openBackend(name: string, backends: Backends): Promise<Backend> {
  const open = Object.hasOwn(backends, name) ? backends[name] : undefined
  if (open) return open()
  const names = Object.keys(backends).join(', ')
  throw invalid(`Got unsupported execution mode ${name}. Supported values: ${names}.`)
}

/** The variables by which a project's code finds its run (MLflow 3.17 `get_run_env_vars`). */
export function runVariables({ run, trackingUri }: Pick<ProjectJob, 'run' | 'trackingUri'>) {
  return {
    MLFLOW_RUN_ID: run.run_id,
    MLFLOW_TRACKING_URI: trackingUri,
    MLFLOW_EXPERIMENT_ID: run.experiment_id,
  }
}
