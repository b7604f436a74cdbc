import type { State } from './open-state.ts'

export interface Tag {
  Key: string
  Value: string
}

export function upsertTags(state: State, arn: string, tags: Tag[]): void {
  for (const { Key, Value } of tags) {
    state.run(
      'INSERT INTO tags VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
      arn,
      Key,
      Value,
    )
  }
}

/** The tags of a resource by their keys. */
export function listTags(state: State, arn: string): Tag[] {
  return state.all<Tag>(
    'SELECT key AS Key, value AS Value FROM tags WHERE arn = ? ORDER BY key',
    arn,
  )
}

export function deleteTags(state: State, arn: string, keys: string[]): void {
  for (const key of keys) state.run('DELETE FROM tags WHERE arn = ? AND key = ?', arn, key)
}
