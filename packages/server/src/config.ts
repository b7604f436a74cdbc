import { resolve } from 'node:path'
import type { Synchronous } from './db/sqlite-dialect.ts'

/** Plain settings that handlers read, also on the writer's thread. */
export interface Settings {
  /** Where a new experiment keeps its artifacts: `<defaultArtifactRoot>/<experiment_id>`. */
  defaultArtifactRoot: string
  /** Directory or bucket behind `mlflow-artifacts:`. */
  artifactsDestination: string
  servesArtifacts: boolean
  /** Long param and tag values are cut, or else refused (`MLFLOW_TRUNCATE_LONG_VALUES`). */
  truncatesLongValues: boolean
  /** Path in front of every URL, such as `/mlflow`; empty for none. */
  staticPrefix: string
  /** URL schemes with a host that an experiment's `artifact_location` may name. */
  allowedArtifactSchemes: readonly string[]
}

/** Everything `startServer` needs. */
export interface ServerConfig {
  host: string
  port: number
  database: { kind: 'sqlite'; path: string; synchronous: Synchronous; pendingWritesMax: number }
  settings: Settings
  allowedHosts: readonly string[]
  allowedOrigins: readonly string[]
  frameOptions: 'SAMEORIGIN' | 'DENY' | 'NONE'
  exposesPrometheus: boolean
  /** Directory of the built pages; undefined serves the API alone. */
  uiDirectory: string | undefined
}

/** Settings of a server whose data is all in one directory; tests and the demo start from it. */
export function localConfig(directory: string): ServerConfig {
  return {
    host: '127.0.0.1',
    port: 0,
    database: {
      kind: 'sqlite',
      path: resolve(directory, 'mlflow.db'),
      synchronous: 'full',
      pendingWritesMax: 20_000,
    },
    settings: {
      defaultArtifactRoot: 'mlflow-artifacts:/',
      artifactsDestination: resolve(directory, 'mlartifacts'),
      servesArtifacts: true,
      truncatesLongValues: true,
      staticPrefix: '',
      allowedArtifactSchemes: [],
    },
    allowedHosts: [],
    allowedOrigins: [],
    frameOptions: 'SAMEORIGIN',
    exposesPrometheus: false,
    uiDirectory: undefined,
  }
}
