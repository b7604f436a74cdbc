import { Square } from 'lucide-react'
import { isUnderWay } from '../../components/JobState.tsx'
import { askPlane, useAction } from '../../query.ts'

/** Stops a job that is under way; `path` is where the control plane is told. */
export function StopButton({ path, status }: { path: string; status: string }) {
  const stop = useAction(() => askPlane(path, { body: {} }))
  if (!isUnderWay(status)) return null
  return (
    <button
      type="button"
      className="button"
      disabled={status === 'Stopping' || stop.isPending}
      onClick={() => stop.mutate(undefined)}
    >
      <Square className="icon" aria-hidden />
      Stop
    </button>
  )
}
