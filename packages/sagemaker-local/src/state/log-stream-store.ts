import type { State } from './open-state.ts'

/** A stream of CloudWatch, whose events are the lines of a file: `<time in ms> <message>`. */
export interface LogStream {
  group: string
  name: string
  file: string
  createdMs: number
}

interface Row {
  log_group: string
  name: string
  file: string
  created_ms: number
}

/** Makes a file known as a stream; one that is known stays as it is. */
export function insertLogStream(state: State, { group, name, file, createdMs }: LogStream): void {
  state.run(
    'INSERT INTO log_streams VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    group,
    name,
    file,
    createdMs,
  )
}

export function findLogStream(state: State, group: string, name: string): LogStream | undefined {
  const row = state.get<Row>(
    'SELECT * FROM log_streams WHERE log_group = ? AND name = ?',
    group,
    name,
  )
  return row && toStream(row)
}

/** Streams of a group whose names begin with a prefix, in the order of their names. */
export function listLogStreams(
  state: State,
  { group, prefix, after, limit }: { group: string; prefix: string; after?: string; limit: number },
): LogStream[] {
  return state
    .all<Row>(
      `SELECT * FROM log_streams WHERE log_group = ? AND substr(name, 1, length(?)) = ? AND name > ?
       ORDER BY name LIMIT ?`,
      group,
      prefix,
      prefix,
      after ?? '',
      limit,
    )
    .map(toStream)
}

export function listLogGroups(state: State): string[] {
  return state
    .all<{ log_group: string }>('SELECT DISTINCT log_group FROM log_streams ORDER BY 1')
    .map(({ log_group }) => log_group)
}

export function deleteLogStreams(state: State, group: string, prefix: string): void {
  state.run(
    'DELETE FROM log_streams WHERE log_group = ? AND substr(name, 1, length(?)) = ?',
    group,
    prefix,
    prefix,
  )
}

function toStream({ log_group, name, file, created_ms }: Row): LogStream {
  return { group: log_group, name, file, createdMs: created_ms }
}
