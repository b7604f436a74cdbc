import { compact, textParam } from '../../url-search.ts'

export interface ModelsSearch {
  name?: string
}

export function readModelsSearch(search: Record<string, unknown>): ModelsSearch {
  return compact({ name: textParam(search['name']) })
}
