import { type Db, perAdapter } from '../db/dialect.ts'

/** Some hundred bytes each. */
const KNOWN_MAX = 20_000

const idsOf = perAdapter(() => new Map<string, number>())

/**
 * The internal id of a run that was seen before, which lets a statement name it without a look. The
 * run may be gone by now, or deleted, or changed by another process: the statement has to see.
 */
export function findKnownRun(db: Db, run_id: string): number | undefined {
  return idsOf(db).get(run_id)
}

/** Remembers a run; of too many the oldest is forgotten. */
export function rememberRun(db: Db, { uuid, id }: { uuid: string; id: number }): void {
  const ids = idsOf(db)
  if (ids.get(uuid) === id) return
  if (ids.size >= KNOWN_MAX) {
    const [oldest = ''] = ids.keys()
    ids.delete(oldest)
  }
  ids.set(uuid, id)
}
