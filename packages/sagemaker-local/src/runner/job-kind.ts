import type { PlaneSettings } from '../plane-settings.ts'
import type { ImageStore } from '../registry/image-store.ts'
import type { ObjectStore } from '../s3/object-store.ts'
import type { State } from '../state/open-state.ts'
import type { ResourceKind } from '../state/resource-store.ts'

/** What the runner gives to whoever carries a job on. */
export interface JobContext {
  /** The name of the resource. */
  name: string
  settings: PlaneSettings
  state: State
  objects: ObjectStore
  images: ImageStore
  /** A folder of the job's own, kept until it is removed. */
  directory: string
  /** Tells the job's processes apart from those of others that run at the same time. */
  number: number
  /** Aborted when this runner ends. What runs is left running: the next runner adopts it. */
  signal: AbortSignal
  /** Resolves at the next change of the state by anybody, and when the runner ends. */
  changed(): Promise<void>
  /**
   * Resolves when the job has its place, at once when it has. `isRunning` for what was started
   * before: it has it whether there is one or not.
   *
   * @throws the signal's reason when that is aborted first
   */
  takePlace(signal: AbortSignal, options?: { isRunning: boolean }): Promise<void>
  /** Gives the place back when what is left to do, storing results, needs none; it is not taken again. */
  freePlace(): Promise<void>
}

/** One kind of work. The runner starts it for every task of its kind. */
export interface JobKind {
  kind: ResourceKind
  /** `run` is called before there is a place, to prepare what it can, and takes its place itself. */
  preparesAhead?: true
  /**
   * Carries the job from wherever it is to its end; resolves when there is nothing left to do. It is
   * called again after a restart, so every step is recorded before it is taken and can be repeated.
   * When `signal` is aborted it returns, or throws whatever it likes.
   */
  run(job: JobContext): Promise<void>
  /** Records that `run` failed in a way that it did not foresee. */
  fail(job: JobContext, error: unknown): void
  /** Called once for a job that has to wait until there is a place for it. */
  wait?(state: State, name: string): void
  /** Ends a job that was stopped before it was started; returns false when it was not stopped. */
  cancel?(state: State, name: string): boolean
}
