import { artifactStreams, artifacts } from './artifacts.ts'
import type { Group, StreamGroup } from './endpoint.ts'
import { experiments } from './experiments.ts'
import { loggedModels } from './logged-models.ts'
import { metrics } from './metrics.ts'
import { modelVersions } from './model-versions.ts'
import { registeredModels } from './registered-models.ts'
import { runMoves } from './run-moves.ts'
import { runs } from './runs.ts'
import { service } from './service.ts'

/** Every JSON endpoint by group: routes, access, types, OpenAPI and clients follow from it. */
export const api = {
  service,
  experiments,
  runs,
  runMoves,
  metrics,
  artifacts,
  loggedModels,
  registeredModels,
  modelVersions,
} satisfies Record<string, Group>
export type Api = typeof api

/** Every endpoint that carries bytes. */
export const streams = { artifacts: artifactStreams } satisfies Record<string, StreamGroup>
export type Streams = typeof streams
