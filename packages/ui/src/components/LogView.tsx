import type { LogLine, LogPage } from '@millrace/api/sagemaker-pages'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import { formatExactTime } from '../format.ts'
import { askPlane, queryClient } from '../query.ts'
import './log-view.css'

interface LogViewProps {
  /** Where the control plane has the log: `/training-jobs/<name>/log`. */
  path: string
  /** Whether lines may still come. */
  isLive: boolean
}

interface Log {
  streams: string[]
  stream: string | undefined
  lines: LogLine[]
  next: string | undefined
}

const LIVE_MS = 1000
const LINES_KEPT = 5000
const AT_END_PX = 40

/** A log that grows while one looks; it stays at its end unless one has scrolled up. */
export function LogView({ path, isLive }: LogViewProps) {
  const [chosen, setChosen] = useState<string>()
  const { data: log, refetch } = useQuery({
    ...logQuery(path, chosen),
    refetchInterval: isLive ? LIVE_MS : false,
  })
  // What was written last comes after the last look at a job that runs.
  useEffect(() => {
    if (!isLive) void refetch()
  }, [isLive, refetch])
  const box = useRef<HTMLDivElement>(null)
  const isAtEnd = useRef(true)
  const last = log?.lines.at(-1)
  useLayoutEffect(() => {
    const element = box.current
    if (element && isAtEnd.current) element.scrollTop = element.scrollHeight
  }, [last])
  if (!log) return null
  return (
    <section className="log" aria-label="Log">
      <h2>Log</h2>
      {log.streams.length > 1 && (
        <select
          className="input log-stream"
          aria-label="Stream of the log"
          value={log.stream}
          onChange={(event) => setChosen(event.target.value)}
        >
          {log.streams.map((stream) => (
            <option key={stream}>{stream}</option>
          ))}
        </select>
      )}
      <div
        ref={box}
        className="log-lines mono"
        role="log"
        tabIndex={0}
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
          isAtEnd.current = scrollHeight - scrollTop - clientHeight < AT_END_PX
        }}
      >
        {log.lines.length === 0 && (
          <p className="muted">
            {isLive ? 'Nothing has been printed yet.' : 'Nothing was printed.'}
          </p>
        )}
        {log.lines.map(({ timeMs, text }, index) => (
          <LogText key={index} timeMs={timeMs} text={text} />
        ))}
      </div>
    </section>
  )
}

function LogText({ timeMs, text }: LogLine) {
  const isOurs = text.startsWith('[millrace] ')
  return (
    <div className="log-line" data-ours={isOurs}>
      <time title={formatExactTime(timeMs)}>{new Date(timeMs).toTimeString().slice(0, 8)}</time>
      <span>{text}</span>
    </div>
  )
}

function logQuery(path: string, stream: string | undefined) {
  const queryKey = ['plane-log', path, stream]
  return {
    queryKey,
    staleTime: 0,
    queryFn: async ({ signal }: { signal: AbortSignal }): Promise<Log> => {
      const known = queryClient.getQueryData<Log>(queryKey)
      const asked = stream ?? known?.streams[0]
      const place = new URLSearchParams({
        ...(asked !== undefined && { stream: asked }),
        ...(known?.next !== undefined && known.stream === asked && { next: known.next }),
      })
      const page = await askPlane<LogPage>(`${path}?${place}`, { signal })
      const hasMore = known !== undefined && known.stream === page.stream
      return {
        streams: page.streams,
        stream: page.stream,
        lines: hasMore ? [...known.lines, ...page.lines].slice(-LINES_KEPT) : page.lines,
        next: page.next,
      }
    },
  }
}
