import type { Streams } from '@millrace/api/api'
import { artifactStreams } from './artifacts/artifact-streams.ts'
import { artifacts } from './artifacts/artifacts.ts'
import type { AllHandlers, StreamHandlers } from './handlers.ts'
import { modelVersions } from './registry/model-versions.ts'
import { registeredModels } from './registry/registered-models.ts'
import { service } from './service.ts'
import { experiments } from './tracking/experiments.ts'
import { loggedModels } from './tracking/logged-models.ts'
import { metrics } from './tracking/metrics.ts'
import { runs } from './tracking/runs.ts'
import { runMoves } from './upkeep/run-moves.ts'

/** The handler of every endpoint. */
export const handlers: AllHandlers = {
  service,
  experiments,
  runs,
  runMoves,
  metrics,
  artifacts,
  loggedModels,
  registeredModels,
  modelVersions,
}

/** The handler of every streaming endpoint. */
export const streamHandlers: { [Name in keyof Streams]: StreamHandlers<Streams[Name]> } = {
  artifacts: artifactStreams,
}
