import { choiceParam, compact, textParam } from '../../url-search.ts'

export interface ExperimentsSearch {
  name?: string
  view?: 'deleted'
}

export function readExperimentsSearch(search: Record<string, unknown>): ExperimentsSearch {
  return compact({
    name: textParam(search['name']),
    view: choiceParam(search['view'], ['deleted']),
  })
}
