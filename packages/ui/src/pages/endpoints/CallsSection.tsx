import type { CallSummary } from '@millrace/api/sagemaker-pages'
import { useMemo } from 'react'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { useShownTheme } from '../../components/theme.ts'
import { formatDuration } from '../../format.ts'
import { LineChart } from '../../ui/LineChart.tsx'
import { Time } from '../../ui/Time.tsx'

/** How calls of an endpoint go: how many, how many failed, and how long they take. */
export function CallsSection({ calls }: { calls: CallSummary }) {
  const { sinceMs, count, errors, p50Ms, p99Ms, recent } = calls
  const theme = useShownTheme()
  const lines = useMemo(() => {
    const good = recent.filter(({ status }) => status === 200)
    const startMs = good[0]?.timeMs ?? 0
    return [
      {
        id: 'latency',
        name: 'ms',
        colour: 'var(--series-1)',
        dash: 0,
        xs: good.map(({ timeMs }) => (timeMs - startMs) / 1000),
        ys: good.map(({ tookMs }) => tookMs),
      },
    ]
  }, [recent])
  return (
    <FoldedSection title="Calls" count={count}>
      {count === 0 ? (
        <p className="muted">
          None since <Time at={sinceMs} />.
        </p>
      ) : (
        <>
          <table className="pairs">
            <tbody>
              {p50Ms !== undefined && p99Ms !== undefined && (
                <>
                  <Line name="Half of them take at most" value={formatDuration(p50Ms)} />
                  <Line name="99 of 100 take at most" value={formatDuration(p99Ms)} />
                </>
              )}
              <Line name="Failed" value={String(errors)} />
            </tbody>
          </table>
          {(lines[0]?.xs.length ?? 0) > 1 && (
            <LineChart
              label="Milliseconds of the last calls"
              lines={lines}
              xKind="relative"
              isLog={false}
              smoothing={0}
              group="calls"
              theme={theme}
              height={140}
            />
          )}
        </>
      )}
    </FoldedSection>
  )
}

function Line({ name, value }: { name: string; value: string }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td className="number">{value}</td>
    </tr>
  )
}
