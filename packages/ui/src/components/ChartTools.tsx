import { Segments } from '../ui/Segments.tsx'
import { type ChartSearch, SMOOTH_MAX } from './chart-search.ts'

interface ChartToolsProps {
  settings: ChartSearch
  onChange: (settings: { [K in keyof ChartSearch]?: ChartSearch[K] | undefined }) => void
}

/** The x axis, smoothing and scale of all charts on a page. */
export function ChartTools({ settings, onChange }: ChartToolsProps) {
  const { x, smooth = 0, log } = settings
  return (
    <div className="chart-tools" role="toolbar" aria-label="Charts">
      <Segments
        label="X axis"
        value={x ?? 'step'}
        options={[
          { value: 'step', label: 'Step' },
          { value: 'relative', label: 'Relative' },
          { value: 'time', label: 'Time' },
        ]}
        onChange={(value) => onChange({ x: value === 'step' ? undefined : value })}
      />
      <label className="smoothing">
        <span className="muted">Smooth</span>
        <input
          type="range"
          min={0}
          max={SMOOTH_MAX}
          value={smooth}
          aria-label="Smoothing"
          onChange={(event) => onChange({ smooth: Number(event.target.value) || undefined })}
        />
        <span className="number smoothing-value">{smooth === 0 ? 'off' : `${smooth} %`}</span>
      </label>
      <button
        type="button"
        className="button small"
        aria-pressed={log === 'y'}
        onClick={() => onChange({ log: log === 'y' ? undefined : 'y' })}
      >
        Log y
      </button>
    </div>
  )
}
