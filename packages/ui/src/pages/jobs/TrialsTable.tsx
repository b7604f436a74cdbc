import type { TuningJobDetails, TuningTrial } from '@millrace/api/sagemaker-pages'
import { Link } from '@tanstack/react-router'
import { Elapsed } from '../../components/Elapsed.tsx'
import { JobState } from '../../components/JobState.tsx'
import { columnFormat } from '../../format.ts'
import { numberIn } from '../../run-values.ts'
import { sortTrials } from './best-so-far.ts'
import { RunLink } from './RunLink.tsx'

/** The trials of a tuning job with what was tried in each, the best one first. */
export function TrialsTable({ job }: { job: TuningJobDetails }) {
  const trials = sortTrials(job)
  if (trials.length === 0) return <p className="empty muted">No trial has been started yet.</p>
  const names = [...new Set(trials.flatMap(({ parameters }) => Object.keys(parameters)))].sort()
  const format = columnFormat(trials.flatMap(({ objective }) => objective ?? []))
  return (
    <div className="trials-scroller">
      <table className="list-table" aria-label="Trials">
        <thead>
          <tr>
            <th>Trial</th>
            <th>State</th>
            <th className="number">{job.objective?.metric ?? 'Objective'}</th>
            {names.map((name) => (
              <th key={name} className="number">
                {name}
              </th>
            ))}
            <th className="number">Duration</th>
            <th>Run</th>
          </tr>
        </thead>
        <tbody>
          {trials.map((trial) => (
            <Trial
              key={trial.name}
              trial={trial}
              names={names}
              format={format}
              isBest={trial.name === job.bestTrial}
            />
          ))}
        </tbody>
      </table>
    </div>
  )
}

interface TrialProps {
  trial: TuningTrial
  names: readonly string[]
  format: (value: number) => string
  isBest: boolean
}

function Trial({ trial, names, format, isBest }: TrialProps) {
  const { name, status, objective, parameters, createdMs, endedMs, run } = trial
  return (
    <tr className={isBest ? 'trial-best' : undefined}>
      <td className="list-name">
        <Link to="/jobs/training/$name" params={{ name }}>
          {name}
        </Link>{' '}
        {isBest && <span className="chip">best</span>}
      </td>
      <td title={trial.failureReason}>
        <JobState status={status} />
      </td>
      <td className="number" title={objective === undefined ? undefined : String(objective)}>
        {objective !== undefined && format(objective)}
      </td>
      {names.map((parameter) => (
        <td key={parameter} className="number" title={parameters[parameter]}>
          {shorten(parameters[parameter] ?? '')}
        </td>
      ))}
      <td className="number">
        <Elapsed fromMs={createdMs} toMs={endedMs} />
      </td>
      <td>{run && <RunLink run={run} />}</td>
    </tr>
  )
}

/** A value that was tried, with six digits at most. */
function shorten(text: string): string {
  const number = numberIn(text)
  return number === undefined ? text : String(Number(number.toPrecision(6)))
}
