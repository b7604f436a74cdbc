import { type ChartSearch, readChartSearch } from '../../components/chart-search.ts'
import { choiceParam, compact, idsParam, textParam } from '../../url-search.ts'

export interface CompareSearch extends ChartSearch {
  runs?: string
  /** The run that the others are measured against; the first one unless said otherwise. */
  baseline?: string
  /** Show what is the same in all runs too. */
  show?: 'all'
}

export function readCompareSearch(search: Record<string, unknown>): CompareSearch {
  return {
    ...compact({
      runs: idsParam(search['runs'])?.join(','),
      baseline: textParam(search['baseline']),
      show: choiceParam(search['show'], ['all']),
    }),
    ...readChartSearch(search),
  }
}
