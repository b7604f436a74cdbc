import { choiceParam, compact, numberParam } from '../url-search.ts'

/** How the charts of a page are drawn, as the URL says it. */
export interface ChartSearch {
  /** The x axis; steps unless said otherwise. */
  x?: 'time' | 'relative'
  /** Weight of the smoothing, in percent. */
  smooth?: number
  /** A logarithmic y axis. */
  log?: 'y'
}

export const SMOOTH_MAX = 99

export function readChartSearch(search: Record<string, unknown>): ChartSearch {
  return compact({
    x: choiceParam(search['x'], ['time', 'relative']),
    smooth: numberParam(search['smooth'], { min: 1, max: SMOOTH_MAX }),
    log: choiceParam(search['log'], ['y']),
  })
}
