import type { Run } from '@millrace/api/runs'

export interface RunPage {
  runs: readonly Run[]
  hasMore: boolean
}

/**
 * The list of runs after its first page was asked for again. The fresh page wins; runs that it
 * pushed down stay behind it, runs that it should hold and does not are gone.
 */
export function mergeHead(head: RunPage | undefined, pages: readonly RunPage[]): Run[] {
  const loaded = pages.flatMap(({ runs }) => runs)
  if (head === undefined) return loaded
  if (!head.hasMore) return [...head.runs]
  const fresh = new Set(head.runs.map(({ info }) => info.run_id))
  // Only the first page tells what the fresh one replaces: a run from further back may have moved up.
  const first = pages[0]?.runs ?? []
  const lastShared = first.findLastIndex(({ info }) => fresh.has(info.run_id))
  const rest = loaded.slice(lastShared + 1).filter(({ info }) => !fresh.has(info.run_id))
  return [...head.runs, ...rest]
}
