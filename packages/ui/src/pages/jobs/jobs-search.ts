import { choiceParam, compact, textParam } from '../../url-search.ts'

export const JOB_KINDS = ['training', 'tuning', 'processing', 'transform'] as const
export type JobKind = (typeof JOB_KINDS)[number]

export interface JobsSearch {
  /** Training jobs unless said otherwise. */
  kind?: JobKind
  /** A part of the name. */
  name?: string
}

export function readJobsSearch(search: Record<string, unknown>): JobsSearch {
  return compact({
    kind: choiceParam(search['kind'], JOB_KINDS),
    name: textParam(search['name']),
  })
}
