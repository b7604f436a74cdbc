import type { State } from './open-state.ts'
import type { ResourceKind } from './resource-store.ts'

/** Work for the runner: carry one resource to its end. */
export interface Task {
  id: number
  kind: ResourceKind
  name: string
  /** How many of the machine's places it takes while it is carried on; none for what only waits. */
  places: number
}

/** A task, and the status of its resource; null when that has been deleted. */
export type ListedTask = Task & { status: string | null }

/** Hands a resource to the runner; it is taken up within some tens of milliseconds. */
export function enqueueTask(state: State, task: Omit<Task, 'id'>): void {
  state.run(
    "INSERT INTO tasks (kind, name, places, state) VALUES (?, ?, ?, 'queued') ON CONFLICT DO NOTHING",
    task.kind,
    task.name,
    task.places,
  )
}

/** Tasks in the order in which they were handed over. */
export function listTasks(state: State, which: 'queued' | 'claimed'): ListedTask[] {
  return state.all<ListedTask>(
    `SELECT id, kind, name, places, status FROM tasks LEFT JOIN resources USING (kind, name)
     WHERE state = ? ORDER BY id`,
    which,
  )
}

/** Returns false when somebody else has it. */
export function claimTask(state: State, id: number): boolean {
  return state.run("UPDATE tasks SET state = 'claimed' WHERE id = ? AND state = 'queued'", id) === 1
}

export function deleteTask(state: State, id: number): void {
  state.run('DELETE FROM tasks WHERE id = ?', id)
}
