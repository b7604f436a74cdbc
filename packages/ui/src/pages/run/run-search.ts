import { type ChartSearch, readChartSearch } from '../../components/chart-search.ts'
import { choiceParam, compact, textParam } from '../../url-search.ts'

export interface RunSearch extends ChartSearch {
  tab?: 'artifacts'
  /** The artifact that is shown. */
  path?: string
}

export function readRunSearch(search: Record<string, unknown>): RunSearch {
  return {
    ...compact({
      tab: choiceParam(search['tab'], ['artifacts']),
      path: textParam(search['path']),
    }),
    ...readChartSearch(search),
  }
}
