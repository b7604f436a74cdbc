import type { JobMetric } from '@millrace/api/sagemaker-pages'
import { useMemo } from 'react'
import { useShownTheme } from '../../components/theme.ts'
import { formatNumber } from '../../format.ts'
import { LineChart } from '../../ui/LineChart.tsx'
import '../../components/charts.css'

/** What the metric definitions of a job have found in its log, over the time since the first. */
export function JobMetrics({ metrics }: { metrics: readonly JobMetric[] }) {
  if (metrics.length === 0) return null
  return (
    <section className="chart-cards job-metrics" aria-label="Metrics">
      {metrics.map((metric) => (
        <MetricChart key={metric.name} metric={metric} />
      ))}
    </section>
  )
}

function MetricChart({ metric: { name, timesMs, values } }: { metric: JobMetric }) {
  const theme = useShownTheme()
  const startMs = timesMs[0] ?? 0
  const lines = useMemo(
    () => [
      {
        id: name,
        name,
        colour: 'var(--series-1)',
        dash: 0,
        xs: timesMs.map((time) => (time - startMs) / 1000),
        ys: values,
      },
    ],
    [name, timesMs, values, startMs],
  )
  const last = values.at(-1)
  return (
    <figure className="chart-card">
      <figcaption>
        <h3 className="truncate" title={name}>
          {name}
        </h3>
        {last !== undefined && <b className="number">{formatNumber(last)}</b>}
      </figcaption>
      <LineChart
        label={`${name} over time`}
        lines={lines}
        xKind="relative"
        isLog={false}
        smoothing={0}
        group="job"
        theme={theme}
        height={180}
      />
    </figure>
  )
}
