import { findResource, type ResourceKind } from '../state/resource-store.ts'
import type { JobContext } from './job-kind.ts'

/** A signal that is aborted when a client stops or deletes the job; `end` lets go of it. */
export function watchForStop(
  job: Pick<JobContext, 'state' | 'name' | 'signal' | 'changed'>,
  kind: ResourceKind,
): { signal: AbortSignal; end: () => void } {
  const stop = new AbortController()
  let isOver = false
  const watch = async () => {
    while (!isOver && !job.signal.aborted) {
      const status = findResource(job.state, kind, job.name)?.status
      if (status === undefined || status === 'Stopping') return stop.abort()
      await job.changed()
    }
  }
  void watch()
  return {
    signal: stop.signal,
    end: () => {
      isOver = true
    },
  }
}
