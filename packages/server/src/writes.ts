import { api } from '@millrace/api/api'
import type { Group } from '@millrace/api/endpoint'
import { handlers } from './all-handlers.ts'
import type { Caller } from './auth/caller.ts'
import type { Settings } from './config.ts'
import type { Write, Writes } from './db/database.ts'
import type { PreparedHandler, RequestContext } from './handlers.ts'
import { ensureDefaultExperiment } from './tracking/default-experiment.ts'
import { foldRuns, maintainOnce } from './tracking/metric-maintenance.ts'

type Run = (context: RequestContext, input: never) => Promise<unknown>

/** Every unit of work that changes the database: the `write` endpoints and background work. */
export function writes(settings: unknown): Writes {
  const all: Record<string, Write> = {
    'maintenance.fold': (db, _caller, { runs }: { runs: number[] }) => foldRuns(db, runs),
    'maintenance.step': (db) => maintainOnce(db),
    'start.defaultExperiment': (db) => ensureDefaultExperiment(db, settings as Settings),
  }
  for (const [groupName, group] of Object.entries<Group>(api)) {
    const groupHandlers = handlers[groupName as keyof typeof handlers] as Record<
      string,
      Run | PreparedHandler<never, Promise<unknown>>
    >
    for (const [name, endpoint] of Object.entries(group)) {
      const handler = groupHandlers[name]
      if (endpoint.effect !== 'write' || handler === undefined) continue
      const run = typeof handler === 'function' ? handler : handler.run
      all[`${groupName}.${name}`] = (db, caller, input) =>
        run(
          {
            db,
            caller: caller as Caller,
            settings: settings as Settings,
            fold: async (runs) => void (await foldRuns(db, runs)),
          },
          input,
        )
    }
  }
  return all
}
