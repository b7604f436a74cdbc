import { api } from '@millrace/api/api'
import type { Group } from '@millrace/api/endpoint'
import { invariant } from '@millrace/api/errors'
import type { Caller } from './auth/caller.ts'
import type { Settings } from './config.ts'
import type { Write, Writes } from './db/database.ts'
import type { Db } from './db/dialect.ts'
import { deleteOldWitnesses } from './db/writer-witness.ts'
import type { PreparedHandler, RequestContext } from './handlers.ts'
import { modelVersions } from './registry/model-versions.ts'
import { registeredModels } from './registry/registered-models.ts'
import { experiments } from './tracking/experiments.ts'
import { loggedModels } from './tracking/logged-models.ts'
import { foldRuns, maintainOnce } from './tracking/metric-maintenance.ts'
import { runs } from './tracking/runs.ts'
import { settleMoves } from './upkeep/run-move-store.ts'
import { runMoves } from './upkeep/run-moves.ts'

type Run = (context: RequestContext, input: never) => Promise<unknown>

/** The groups with endpoints that write; the others' code stays out of the writer's thread. */
const writing: Partial<Record<string, object>> = {
  experiments,
  runs,
  runMoves,
  loggedModels,
  registeredModels,
  modelVersions,
}

/** Writes of the hot paths, and background work, whose repetition changes nothing. */
const REPEATABLE = new Set([
  'maintenance.fold',
  'maintenance.step',
  'runs.create',
  'runs.logBatch',
  'runs.logInputs',
  'runs.logMetric',
  'runs.logOutputs',
  'runs.logParameter',
  'runs.setTag',
  'runs.update',
])

/** Every unit of work that changes the database: the `write` endpoints and background work. */
export function writes(settings: unknown): Writes {
  const all: Record<string, Write> = {
    'maintenance.fold': (db, _caller, { runs }: { runs: number[] }) => foldRuns(db, runs),
    'maintenance.step': async (db) => {
      await settleMoves(db)
      await deleteOldWitnesses(db)
      return maintainOnce(db)
    },
  }
  for (const [groupName, group] of Object.entries<Group>(api)) {
    const groupHandlers = (writing[groupName] ?? {}) as Record<
      string,
      Run | PreparedHandler<never, Promise<unknown>>
    >
    for (const [name, endpoint] of Object.entries(group)) {
      if (endpoint.effect !== 'write') continue
      const handler = groupHandlers[name]
      invariant(handler, `${groupName}.${name} writes, and its group is listed here`)
      const { run, quick } = (
        typeof handler === 'function' ? { run: handler } : handler
      ) as PreparedHandler<never, Promise<unknown>>
      const contextOf = (db: Db, caller: unknown): RequestContext => ({
        db,
        caller: caller as Caller,
        settings: settings as Settings,
        snapshot: (read) => read(db),
        fold: (runs) => foldRuns(db, runs),
      })
      const write: Write = (db, caller, input) => run(contextOf(db, caller), input)
      const quickly: Write['quick'] = (db, caller, input) =>
        quick?.(contextOf(db, caller), input) ?? Promise.resolve(undefined)
      all[`${groupName}.${name}`] = Object.assign(write, { ...(quick && { quick: quickly }) })
    }
  }
  for (const name of REPEATABLE) {
    const write = all[name]
    invariant(write, `${name} is a write`)
    all[name] = Object.assign(write, { isRepeatable: true })
  }
  return all
}
