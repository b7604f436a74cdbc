import type { TuningJobList, TuningJobRow } from '@millrace/api/sagemaker-pages'
import { Link } from '@tanstack/react-router'
import { Elapsed } from '../../components/Elapsed.tsx'
import { JobState } from '../../components/JobState.tsx'
import { formatNumber } from '../../format.ts'
import { Time } from '../../ui/Time.tsx'
import { NoJobs } from './NoJobs.tsx'
import { usePlaneList } from './use-plane-list.ts'

export function TuningJobsTable({ contains }: { contains: string }) {
  const { data, hasNextPage, fetchNextPage } = usePlaneList<TuningJobList>('/tuning-jobs', contains)
  const jobs = data?.pages.flatMap((page) => page.jobs)
  if (!jobs) return null
  if (jobs.length === 0) return <NoJobs kind="tuning" contains={contains} />
  return (
    <>
      <table className="list-table" aria-label="Tuning jobs">
        <thead>
          <tr>
            <th>Name</th>
            <th>State</th>
            <th>Strategy</th>
            <th className="number">Trials</th>
            <th>Objective</th>
            <th className="number">Best</th>
            <th className="number">Duration</th>
            <th>Started</th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <Row key={job.name} job={job} />
          ))}
        </tbody>
      </table>
      {hasNextPage && (
        <button type="button" className="button list-more" onClick={() => fetchNextPage()}>
          Show older jobs
        </button>
      )}
    </>
  )
}

function Row({ job }: { job: TuningJobRow }) {
  const { name, status, strategy, completed, limit, objective, best, createdMs, endedMs } = job
  return (
    <tr>
      <td className="list-name">
        <Link to="/jobs/tuning/$name" params={{ name }}>
          {name}
        </Link>
      </td>
      <td title={job.failureReason}>
        <JobState status={status} />
      </td>
      <td>{strategy}</td>
      <td className="number">
        {completed}
        {limit !== undefined && <span className="muted"> of {limit}</span>}
      </td>
      <td className="muted">
        {objective && `${objective.goal.toLowerCase()} ${objective.metric}`}
      </td>
      <td className="number">{best !== undefined && formatNumber(best)}</td>
      <td className="number">
        <Elapsed fromMs={createdMs} toMs={endedMs} />
      </td>
      <td className="muted">
        <Time at={createdMs} />
      </td>
    </tr>
  )
}
