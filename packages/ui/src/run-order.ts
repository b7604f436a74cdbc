import { parseColumn } from './run-columns.ts'

/** How a list of runs is sorted: a column's id, with a minus in front for the largest first. */
export interface RunSort {
  columnId: string
  descending: boolean
}

export const DEFAULT_SORT = '-attributes.start_time'

export function parseSort(text: string): RunSort {
  const descending = text.startsWith('-')
  return { columnId: descending ? text.slice(1) : text, descending }
}

export function formatSort({ columnId, descending }: RunSort): string {
  return `${descending ? '-' : ''}${columnId}`
}

/** The server's `order_by` for a sort; undefined when the server cannot sort by that column. */
export function orderBy(text: string): string[] | undefined {
  const { columnId, descending } = parseSort(text)
  const column = parseColumn(columnId)
  if (column === undefined || !isSortable(columnId)) return undefined
  const direction = descending ? 'DESC' : 'ASC'
  if (column.kind === 'attribute') return [`attributes.${column.key} ${direction}`]
  return [`${column.kind}s.${quoteKey(column.key)} ${direction}`]
}

const SORTABLE_ATTRIBUTES = ['start_time', 'end_time', 'status', 'user_id', 'run_name', 'run_id']

export function isSortable(columnId: string): boolean {
  const column = parseColumn(columnId)
  if (column === undefined) return false
  return column.kind !== 'attribute' || SORTABLE_ATTRIBUTES.includes(column.key)
}

/** A key as the search language takes it, whatever characters it has. */
export function quoteKey(key: string): string {
  return key.includes('`') ? `"${key}"` : `\`${key}\``
}
