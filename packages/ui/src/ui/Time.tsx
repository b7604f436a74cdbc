import type { Int64 } from '@millrace/api/wire'
import { formatAgo, formatExactTime } from '../format.ts'
import { useNow } from './use-now.ts'

/** A moment as how long ago it was; the exact time is in its title. */
export function Time({ at }: { at: Int64 }) {
  const now = useNow()
  const time = Number(at)
  if (time <= 0) return null
  return (
    <time dateTime={new Date(time).toISOString()} title={formatExactTime(time)}>
      {formatAgo(time, now)}
    </time>
  )
}
