import { Link } from '@tanstack/react-router'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { RunState } from '../../components/RunState.tsx'
import { useJobRuns } from './use-job-runs.ts'

/** The runs that a job tracks its work in. */
export function JobRuns({ name, isLive }: { name: string; isLive: boolean }) {
  const runs = useJobRuns(name, isLive)
  if (runs.length === 0) return null
  return (
    <FoldedSection title="Runs" count={runs.length}>
      <ul className="side-list">
        {runs.map(({ info }) => (
          <li key={info.run_id}>
            <RunState status={info.status} />
            <Link
              className="truncate"
              to="/experiments/$experimentId/runs/$runId"
              params={{ experimentId: info.experiment_id, runId: info.run_id }}
            >
              {info.run_name}
            </Link>
          </li>
        ))}
      </ul>
    </FoldedSection>
  )
}
