import type { Run } from '@millrace/api/runs'
import type { CSSProperties } from 'react'
import { columnFormat } from '../format.ts'
import { directionOf } from '../metric-names.ts'
import { valuesOf } from '../run-values.ts'
import type { SeriesStyle } from '../series-colours.ts'

interface BarCardProps {
  metric: string
  runs: readonly Run[]
  styles: ReadonlyMap<string, SeriesStyle>
}

const BARS = 8

/** A metric that each run logged once, as bars with the best first. */
export function BarCard({ metric, runs, styles }: BarCardProps) {
  const bars = runs
    .map((run) => ({ info: run.info, value: valuesOf(run).metrics.get(metric) }))
    .filter((bar): bar is { info: Run['info']; value: number } => bar.value !== undefined)
    .sort((a, b) => (directionOf(metric) === 'lower' ? a.value - b.value : b.value - a.value))
  const values = bars.map(({ value }) => value)
  const format = columnFormat(values)
  const low = Math.min(0, ...values.filter(Number.isFinite))
  const high = Math.max(0, ...values.filter(Number.isFinite))
  const share = (value: number) => (high === low ? 0 : ((value - low) / (high - low)) * 100)
  return (
    <figure className="chart-card">
      <figcaption>
        <h3 className="truncate" title={metric}>
          {metric}
        </h3>
      </figcaption>
      <ul className="bars" aria-label={metric}>
        {bars.slice(0, BARS).map(({ info, value }) => (
          <li key={info.run_id}>
            <span className="truncate" title={info.run_name}>
              {info.run_name}
            </span>
            <span
              className="bar"
              style={
                {
                  '--from': `${share(Math.min(0, value))}%`,
                  '--to': `${share(Math.max(0, value))}%`,
                  '--colour': styles.get(info.run_id)?.colour,
                } as CSSProperties
              }
            />
            <span className="number" title={String(value)}>
              {format(value)}
            </span>
          </li>
        ))}
      </ul>
      {bars.length > BARS && <p className="muted bars-rest">and {bars.length - BARS} more runs</p>}
    </figure>
  )
}
