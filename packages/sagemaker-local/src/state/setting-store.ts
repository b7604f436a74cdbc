import type { State } from './open-state.ts'

/** A value that the processes of a control plane share, by its name. */
export function findSetting(state: State, name: string): string | undefined {
  return state.get<{ value: string }>('SELECT value FROM settings WHERE name = ?', name)?.value
}

export function setSetting(state: State, name: string, value: string): void {
  state.run(
    'INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
    name,
    value,
  )
}
