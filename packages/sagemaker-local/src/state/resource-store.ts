import type { State } from './open-state.ts'

/** What a resource is, by the part of its ARN that says so. */
export type ResourceKind =
  | 'training-job'
  | 'hyper-parameter-tuning-job'
  | 'model'
  | 'endpoint-config'
  | 'endpoint'
  | 'transform-job'
  | 'processing-job'
  | 'repository'
  | 'image'

/**
 * A thing that a client has made. `document` is what its Describe operation answers, in the names of
 * the wire, its times in seconds; `progress` is what only we need to carry it on.
 */
export interface Resource<Document = Record<string, unknown>, Progress = Record<string, unknown>> {
  kind: ResourceKind
  name: string
  arn: string
  /** The status that lists filter by. */
  status: string
  createdMs: number
  modifiedMs: number
  document: Document
  progress: Progress
}

interface Row {
  kind: ResourceKind
  name: string
  arn: string
  status: string
  created_ms: number
  modified_ms: number
  document: string
  progress: string
}

/** Returns false, and stores nothing, when there is one of that kind and name. */
export function insertResource(state: State, resource: Resource<object, object>): boolean {
  const { kind, name, arn, status, createdMs, modifiedMs, document, progress } = resource
  const inserted = state.run(
    'INSERT INTO resources VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
    kind,
    name,
    arn,
    status,
    createdMs,
    modifiedMs,
    JSON.stringify(document),
    JSON.stringify(progress),
  )
  return inserted === 1
}

export function findResource<Document, Progress>(
  state: State,
  kind: ResourceKind,
  name: string,
): Resource<Document, Progress> | undefined {
  const row = state.get<Row>('SELECT * FROM resources WHERE kind = ? AND name = ?', kind, name)
  return row && toResource<Document, Progress>(row)
}

export function findResourceByArn(state: State, arn: string): Resource | undefined {
  const row = state.get<Row>('SELECT * FROM resources WHERE arn = ?', arn)
  return row && toResource(row)
}

/**
 * Writes a resource as it is after a change that no other process can come between. `change` may alter
 * what it is given and returns false to leave everything as it was. Returns the resource as it is
 * then; undefined when there is none.
 */
export function updateResource<Document, Progress>(
  state: State,
  kind: ResourceKind,
  name: string,
  change: (resource: Resource<Document, Progress>) => false | void,
): Resource<Document, Progress> | undefined {
  return state.transaction(() => {
    const resource = findResource<Document, Progress>(state, kind, name)
    if (!resource || change(resource) === false) return resource
    resource.modifiedMs = Date.now()
    state.run(
      'UPDATE resources SET status = ?, modified_ms = ?, document = ?, progress = ? WHERE kind = ? AND name = ?',
      resource.status,
      resource.modifiedMs,
      JSON.stringify(resource.document),
      JSON.stringify(resource.progress),
      kind,
      name,
    )
    return resource
  })
}

/** Removes a resource with its tags. Returns whether it was there. */
export function deleteResource(state: State, kind: ResourceKind, name: string): boolean {
  return state.transaction(() => removeResource(state, kind, name))
}

/** The same as part of a transaction. */
export function removeResource(state: State, kind: ResourceKind, name: string): boolean {
  state.run(
    'DELETE FROM tags WHERE arn IN (SELECT arn FROM resources WHERE kind = ? AND name = ?)',
    kind,
    name,
  )
  return state.run('DELETE FROM resources WHERE kind = ? AND name = ?', kind, name) === 1
}

export function toResource<Document, Progress>(row: Row): Resource<Document, Progress> {
  return {
    kind: row.kind,
    name: row.name,
    arn: row.arn,
    status: row.status,
    createdMs: row.created_ms,
    modifiedMs: row.modified_ms,
    // Written by this file from the same types.
    document: JSON.parse(row.document) as Document,
    progress: JSON.parse(row.progress) as Progress,
  }
}

export type ResourceRow = Row

/** Every resource of a kind, by name. */
export function listAll<Document, Progress>(
  state: State,
  kind: ResourceKind,
): Resource<Document, Progress>[] {
  return state
    .all<Row>('SELECT * FROM resources WHERE kind = ? ORDER BY name', kind)
    .map((row) => toResource<Document, Progress>(row))
}
