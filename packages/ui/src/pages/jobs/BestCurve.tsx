import type { TuningJobDetails } from '@millrace/api/sagemaker-pages'
import { useMemo } from 'react'
import { useShownTheme } from '../../components/theme.ts'
import { LineChart } from '../../ui/LineChart.tsx'
import { bestSoFar } from './best-so-far.ts'
import '../../components/charts.css'

/** The objective of each trial as it ended, and the best one so far. */
export function BestCurve({ job }: { job: TuningJobDetails }) {
  const theme = useShownTheme()
  const lines = useMemo(() => {
    const { xs, values, best } = bestSoFar(job)
    return [
      {
        id: 'best',
        name: 'best so far',
        colour: 'var(--accent)',
        dash: 0,
        xs,
        ys: best,
        isStepped: true,
      },
      { id: 'each', name: 'each trial', colour: 'var(--control-line)', dash: 2, xs, ys: values },
    ]
  }, [job])
  if ((lines[0]?.xs.length ?? 0) < 2 || !job.objective) return null
  return (
    <figure className="chart-card best-curve">
      <figcaption>
        <h3>{job.objective.metric}, best so far</h3>
      </figcaption>
      <LineChart
        label={`Best ${job.objective.metric} so far, by trials`}
        lines={lines}
        xKind="step"
        isLog={false}
        smoothing={0}
        group="tuning"
        theme={theme}
        height={220}
      />
    </figure>
  )
}
