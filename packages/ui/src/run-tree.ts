import type { Run } from '@millrace/api/runs'
import { parentOf } from './run-values.ts'

/** A run at its place in the list. */
export interface RunRow {
  run: Run
  depth: number
  childCount: number
}

/**
 * Puts loaded children below their parents, in the order they had. A child whose parent is not
 * loaded stays where it was. `collapsed` holds the ids whose children are hidden.
 */
export function nestRuns(runs: readonly Run[], collapsed: ReadonlySet<string>): RunRow[] {
  const loaded = new Set(runs.map(({ info }) => info.run_id))
  const childrenOf = new Map<string, Run[]>()
  const roots: Run[] = []
  for (const run of runs) {
    const parent = parentOf(run)
    if (parent === undefined || !loaded.has(parent) || parent === run.info.run_id) roots.push(run)
    else childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), run])
  }
  const rows: RunRow[] = []
  const placed = new Set<string>()
  const place = (run: Run, depth: number) => {
    if (placed.has(run.info.run_id)) return
    placed.add(run.info.run_id)
    const children = childrenOf.get(run.info.run_id) ?? []
    rows.push({ run, depth, childCount: children.length })
    if (!collapsed.has(run.info.run_id)) for (const child of children) place(child, depth + 1)
  }
  for (const run of roots) place(run, 0)
  return rows
}

/** Runs as they come, each on its own. */
export function flatRuns(runs: readonly Run[]): RunRow[] {
  return runs.map((run) => ({ run, depth: 0, childCount: 0 }))
}
