import type { Run } from '@millrace/api/runs'
import type { CSSProperties } from 'react'
import { columnFormat } from '../format.ts'
import { directionOf } from '../metric-names.ts'
import { valuesOf } from '../run-values.ts'
import type { SeriesStyle } from '../series-colours.ts'

interface DotCardProps {
  metric: string
  runs: readonly Run[]
  styles: ReadonlyMap<string, SeriesStyle>
}

const SHOWN = 8

/** A metric that each run logged once, as dots between the lowest and the highest, the best first. */
export function DotCard({ metric, runs, styles }: DotCardProps) {
  const dots = runs
    .map((run) => ({ info: run.info, value: valuesOf(run).metrics.get(metric) }))
    .filter((dot): dot is { info: Run['info']; value: number } => dot.value !== undefined)
    .sort((a, b) => (directionOf(metric) === 'lower' ? a.value - b.value : b.value - a.value))
  const finite = dots.map(({ value }) => value).filter(Number.isFinite)
  const format = columnFormat(finite)
  const low = Math.min(...finite)
  const high = Math.max(...finite)
  const at = (value: number) => (high > low ? (value - low) / (high - low) : 0.5)
  return (
    <figure className="chart-card">
      <figcaption>
        <h3 className="truncate" title={metric}>
          {metric}
        </h3>
      </figcaption>
      <ul className="dots" aria-label={metric}>
        {dots.slice(0, SHOWN).map(({ info, value }) => (
          <li key={info.run_id}>
            <span className="truncate" title={info.run_name}>
              {info.run_name}
            </span>
            <span
              className="dot"
              style={
                {
                  '--at': Number.isFinite(value) ? at(value).toFixed(4) : 0,
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
      {dots.length > SHOWN && (
        <p className="muted dots-rest">and {dots.length - SHOWN} more runs</p>
      )}
    </figure>
  )
}
