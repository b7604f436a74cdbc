import type { Run } from '@millrace/api/runs'
import { useCallback, useMemo, useState } from 'react'
import { type Column, knownColumns, parseColumn, varyingColumns } from '../../run-columns.ts'
import { idsParam } from '../../url-search.ts'
import type { RunsSearch } from './runs-search.ts'

/** Changes some of the state; undefined takes it out of the URL. */
export type ChangeSearch = (part: { [K in keyof RunsSearch]?: RunsSearch[K] | undefined }) => void

/** Runs that decide which columns there are; more would not change the answer, only the time. */
const SAMPLE = 300
/** From so many runs on, one more does not change which columns vary. */
const ENOUGH = 20
const NO_COLUMNS: Column[] = []

/** The columns to choose from and those on screen, which do not jump about as runs arrive. */
export function useColumns(runs: readonly Run[], chosen: readonly string[] | undefined) {
  const sample = useMemo(() => runs.slice(0, SAMPLE), [runs])
  const known = useMemo(() => knownColumns(sample), [sample])
  const signature = [Math.min(sample.length, ENOUGH), ...known.map(({ id }) => id)].join('\n')
  const [varying, setVarying] = useState({ signature: '', columns: NO_COLUMNS })
  if (varying.signature !== signature) {
    setVarying({ signature, columns: varyingColumns(sample) })
  }
  const ids = chosen?.join('\n')
  const picked = useMemo(() => ids?.split('\n').flatMap((id) => parseColumn(id) ?? []), [ids])
  return { known, shown: picked ?? varying.columns, isAutomatic: chosen === undefined }
}

/** The selected runs, which the URL holds. */
export function useSelection(
  text: string | undefined,
  update: (change: (before: RunsSearch) => RunsSearch) => void,
) {
  const ids = useMemo(() => idsParam(text) ?? [], [text])
  const set = useMemo(() => new Set(ids), [ids])
  const select = useCallback(
    (run_ids: readonly string[], isSelected: boolean) =>
      update(({ selected, ...rest }) => {
        const after = new Set(idsParam(selected))
        for (const run_id of run_ids) {
          if (isSelected) after.add(run_id)
          else after.delete(run_id)
        }
        return after.size === 0 ? rest : { ...rest, selected: [...after].join(',') }
      }),
    [update],
  )
  return { ids, set, select }
}

/** The list of before while its elements are the same, so that what draws it can rest. */
export function useSame<T>(list: readonly T[]): readonly T[] {
  const [kept, setKept] = useState(list)
  if (kept.length === list.length && kept.every((one, index) => one === list[index])) return kept
  setKept(list)
  return list
}

/** The runs that charts draw: the selected ones, or the best one and the first with metrics. */
export function drawnRuns(
  runs: readonly Run[],
  selected: ReadonlySet<string>,
  { count, best }: { count: number; best: Run | undefined },
): Run[] {
  if (selected.size > 0) return runs.filter(({ info }) => selected.has(info.run_id))
  const bestId = best?.info.run_id
  const drawn = best ? [runs.find(({ info }) => info.run_id === bestId) ?? best] : []
  for (const run of runs) {
    if (drawn.length >= count) break
    if (run.data.metrics?.length && run.info.run_id !== bestId) drawn.push(run)
  }
  return drawn
}
