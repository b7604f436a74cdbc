import { formatDuration } from '../format.ts'
import { useNow } from '../ui/use-now.ts'

interface ElapsedProps {
  /** Both in ms since 1970; without an end it still goes on. */
  fromMs: number
  toMs?: number | undefined
}

/** How long something took, or takes so far. */
export function Elapsed({ fromMs, toMs }: ElapsedProps) {
  const now = useNow({ isWatched: toMs === undefined })
  return formatDuration(Math.max(0, (toMs ?? now) - fromMs))
}
