import { type ChartSearch, readChartSearch } from '../../components/chart-search.ts'
import { orderBy } from '../../run-order.ts'
import {
  choiceParam,
  compact,
  idsParam,
  listParam,
  numberParam,
  textParam,
} from '../../url-search.ts'

/** The state of an experiment's page; all of it is in the URL. */
export interface RunsSearch extends ChartSearch {
  filter?: string
  /** A column's id, with a minus in front for the largest first; newest first unless said. */
  sort?: string
  /** Ids of the columns, in order; those that vary unless said. */
  columns?: string[]
  /** Ids of the selected runs, with commas. */
  selected?: string
  view?: 'deleted'
  layout?: 'table' | 'charts'
  /** Children stand in the order of the sort instead of below their parents. */
  nesting?: 'flat'
  /** How many runs the charts draw when none is selected. */
  drawn?: number
}

export const DRAWN_DEFAULT = 10
export const DRAWN_MAX = 100

export function readRunsSearch(search: Record<string, unknown>): RunsSearch {
  const sort = textParam(search['sort'])
  return {
    ...compact({
      filter: textParam(search['filter']),
      sort: sort !== undefined && orderBy(sort) ? sort : undefined,
      columns: listParam(search['columns']),
      selected: idsParam(search['selected'])?.join(','),
      view: choiceParam(search['view'], ['deleted']),
      layout: choiceParam(search['layout'], ['table', 'charts']),
      nesting: choiceParam(search['nesting'], ['flat']),
      drawn: numberParam(search['drawn'], { min: 1, max: DRAWN_MAX }),
    }),
    ...readChartSearch(search),
  }
}
