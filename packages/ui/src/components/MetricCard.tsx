import type { Run } from '@millrace/api/runs'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Maximize2 } from 'lucide-react'
import { useMemo, useState } from 'react'
import { formatNumber } from '../format.ts'
import { bestOf, directionOf } from '../metric-names.ts'
import { client, query } from '../query.ts'
import { valuesOf } from '../run-values.ts'
import type { SeriesStyle } from '../series-colours.ts'
import type { Line } from '../ui/chart-data.ts'
import { LineChart } from '../ui/LineChart.tsx'
import { useInView } from '../ui/use-in-view.ts'
import { linesOf } from './chart-runs.ts'
import type { ChartSearch } from './chart-search.ts'
import { useShownTheme } from './theme.ts'

interface MetricCardProps {
  metric: string
  runs: readonly Run[]
  styles: ReadonlyMap<string, SeriesStyle>
  settings: ChartSearch
}

const POINTS = 800
const LIVE_MS = 2000

/** One metric of some runs as lines; running ones grow by themselves. */
export function MetricCard({ metric, runs, styles, settings }: MetricCardProps) {
  const [card, isSeen] = useInView<HTMLElement>()
  const [isLarge, setLarge] = useState(false)
  const theme = useShownTheme()
  const having = runs.filter((run) => valuesOf(run).metrics.has(metric))
  const isLive = having.some(({ info }) => info.status === 'RUNNING')
  const { data, error } = useQuery({
    ...query(client.metrics.getHistoryBulkInterval, {
      run_ids: having.map(({ info }) => info.run_id),
      metric_key: metric,
      max_results: POINTS,
    }),
    enabled: isSeen && having.length > 0,
    placeholderData: keepPreviousData,
    staleTime: isLive ? LIVE_MS : 30_000,
    refetchInterval: isLive ? LIVE_MS : false,
  })
  const xKind = settings.x ?? 'step'
  // A card draws as much again as its table; it rests while its points and runs are the same.
  const lines = useMemo(
    () => linesOf(data?.metrics ?? [], runs, { xKind, styles }),
    [data, runs, xKind, styles],
  )
  return (
    <figure ref={card} className="chart-card" data-large={isLarge}>
      <figcaption>
        <h3 className="truncate" title={metric}>
          {metric}
        </h3>
        <CardValue metric={metric} runs={having} lines={lines} />
        <button
          type="button"
          className="button quiet small icon-only card-tool"
          aria-label={isLarge ? `Make ${metric} smaller` : `Make ${metric} larger`}
          onClick={() => setLarge(!isLarge)}
        >
          <Maximize2 className="icon" aria-hidden />
        </button>
      </figcaption>
      {error ? (
        <p className="field-error">{error.message}</p>
      ) : (
        <LineChart
          label={`${metric} of ${having.map(({ info }) => info.run_name).join(', ')}`}
          lines={lines}
          xKind={xKind}
          isLog={settings.log === 'y'}
          smoothing={(settings.smooth ?? 0) / 100}
          group="metrics"
          theme={theme}
          height={isLarge ? 420 : 200}
        />
      )}
    </figure>
  )
}

interface CardValueProps {
  metric: string
  runs: readonly Run[]
  lines: readonly Line[]
}

/** Of one run its last value between its lowest and highest, of several the best. */
function CardValue({ metric, runs, lines }: CardValueProps) {
  const values = runs.map((run) => valuesOf(run).metrics.get(metric) ?? Number.NaN)
  const [only] = values
  if (runs.length === 1 && only !== undefined) {
    return (
      <span className="number">
        <Range ys={lines[0]?.ys ?? []} />
        <b>{formatNumber(only)}</b>
      </span>
    )
  }
  const best = bestOf(metric, values)
  if (best === undefined) return null
  const direction = directionOf(metric) === 'higher' ? 'highest' : 'lowest'
  return (
    <span className="number" title={`The ${direction} of the last values`}>
      <span className="muted">best </span>
      {formatNumber(best)}
    </span>
  )
}

/** Only of a curve that is here whole: thinned points may miss its extremes. */
function Range({ ys }: { ys: readonly number[] }) {
  const finite = ys.filter(Number.isFinite)
  if (finite.length < 2 || ys.length >= POINTS) return null
  return (
    <span className="muted">
      {formatNumber(Math.min(...finite))} to {formatNumber(Math.max(...finite))}, last{' '}
    </span>
  )
}
