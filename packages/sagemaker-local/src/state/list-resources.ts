import { z } from 'zod'
import { invalidRequest } from '../http/aws-error.ts'
import type { State } from './open-state.ts'
import { type Resource, type ResourceKind, type ResourceRow, toResource } from './resource-store.ts'

/** The members that nearly every List operation of SageMaker takes, times in seconds. */
export const ListInput = z.object({
  MaxResults: z.int32().min(1).max(100).nullish(),
  NextToken: z.string().max(8192).nullish(),
  NameContains: z
    .string()
    .max(63)
    .regex(/^[a-zA-Z0-9-]+$/)
    .nullish(),
  StatusEquals: z.string().nullish(),
  SortBy: z.enum(['Name', 'CreationTime', 'Status']).nullish(),
  SortOrder: z.enum(['Ascending', 'Descending']).nullish(),
  CreationTimeAfter: z.number().nullish(),
  CreationTimeBefore: z.number().nullish(),
  LastModifiedTimeAfter: z.number().nullish(),
  LastModifiedTimeBefore: z.number().nullish(),
})
export type ListInput = z.infer<typeof ListInput>

const PAGE_SIZE = 10
const COLUMN = { Name: 'name', CreationTime: 'created_ms', Status: 'status' } as const

/** One page of a kind's resources, and the token that leads to the next one when there is more. */
export interface Page<Document, Progress> {
  resources: Resource<Document, Progress>[]
  nextToken: string | undefined
}

/**
 * One page of a kind, newest first unless told otherwise. Pages go by the sorted value and the name,
 * so that nothing is left out or repeated when something is made or deleted meanwhile.
 *
 * @throws AwsError ValidationException for a token that this list has not given
 */
export function listResources<Document, Progress>(
  state: State,
  kind: ResourceKind,
  input: ListInput,
  defaults: { SortBy?: 'Name' | 'CreationTime'; SortOrder?: 'Ascending' | 'Descending' } = {},
): Page<Document, Progress> {
  const column = COLUMN[input.SortBy ?? defaults.SortBy ?? 'CreationTime']
  const isAscending =
    (input.SortOrder ?? defaults.SortOrder ?? (column === 'name' ? 'Ascending' : 'Descending')) ===
    'Ascending'
  const size = input.MaxResults ?? PAGE_SIZE
  const conditions = ['kind = ?']
  const values: (string | number)[] = [kind]
  const add = (sql: string, ...more: (string | number)[]) => {
    conditions.push(sql)
    values.push(...more)
  }
  // SQLite's LIKE ignores the case of ASCII letters as AWS does; the pattern has no wildcards.
  if (input.NameContains) add("name LIKE '%' || ? || '%'", input.NameContains)
  if (input.StatusEquals) add('status = ?', input.StatusEquals)
  const times = [
    ['created_ms > ?', input.CreationTimeAfter],
    ['created_ms < ?', input.CreationTimeBefore],
    ['modified_ms > ?', input.LastModifiedTimeAfter],
    ['modified_ms < ?', input.LastModifiedTimeBefore],
  ] as const
  for (const [sql, seconds] of times) if (seconds != null) add(sql, Math.round(seconds * 1000))
  if (input.NextToken) {
    const after = readToken(input.NextToken, column)
    add(`(${column}, name) ${isAscending ? '>' : '<'} (?, ?)`, after.value, after.name)
  }
  const order = isAscending ? 'ASC' : 'DESC'
  const rows = state.all<ResourceRow>(
    `SELECT * FROM resources WHERE ${conditions.join(' AND ')}
     ORDER BY ${column} ${order}, name ${order} LIMIT ?`,
    ...values,
    size + 1,
  )
  const shown = rows.slice(0, size)
  const last = shown.at(-1)
  return {
    resources: shown.map((row) => toResource<Document, Progress>(row)),
    nextToken: rows.length > size && last ? writeToken(column, last) : undefined,
  }
}

type Column = (typeof COLUMN)[keyof typeof COLUMN]

const Token = z.tuple([z.string(), z.union([z.string(), z.number()]), z.string()])

function writeToken(column: Column, row: ResourceRow): string {
  return Buffer.from(JSON.stringify([column, row[column], row.name])).toString('base64url')
}

function readToken(token: string, column: Column): { value: string | number; name: string } {
  const text = Buffer.from(token, 'base64url').toString()
  const parsed = Token.safeParse(parseJson(text))
  if (!parsed.success || parsed.data[0] !== column) {
    throw invalidRequest('The NextToken is not one that this list has answered with.')
  }
  return { value: parsed.data[1], name: parsed.data[2] }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
