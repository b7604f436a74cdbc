import type { JobList, JobRow } from '@millrace/api/sagemaker-pages'
import { Link } from '@tanstack/react-router'
import { Elapsed } from '../../components/Elapsed.tsx'
import { isUnderWay, JobState } from '../../components/JobState.tsx'
import { Time } from '../../ui/Time.tsx'
import type { JobKind } from './jobs-search.ts'
import { NoJobs } from './NoJobs.tsx'
import { phaseName } from './phase-name.ts'
import { RunLink } from './RunLink.tsx'
import { usePlaneList } from './use-plane-list.ts'

interface JobsTableProps {
  kind: Exclude<JobKind, 'tuning'>
  contains: string
}

export function JobsTable({ kind, contains }: JobsTableProps) {
  const { data, hasNextPage, fetchNextPage } = usePlaneList<JobList>(`/${kind}-jobs`, contains)
  const jobs = data?.pages.flatMap((page) => page.jobs)
  if (!jobs) return null
  if (jobs.length === 0) return <NoJobs kind={kind} contains={contains} />
  return (
    <>
      <table className="list-table" aria-label="Jobs">
        <thead>
          <tr>
            <th>Name</th>
            <th>State</th>
            <th>Image</th>
            <th className="number">Duration</th>
            {kind === 'training' && <th>Run</th>}
            <th>Started</th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <Row key={job.name} kind={kind} job={job} />
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

function Row({ kind, job }: { kind: JobsTableProps['kind']; job: JobRow }) {
  const { name, status, phase, image, createdMs, endedMs, failureReason } = job
  const isTraining = kind === 'training'
  return (
    <tr>
      <td className="list-name">
        <Link to={`/jobs/${kind}/$name`} params={{ name }}>
          {name}
        </Link>
      </td>
      <td title={failureReason}>
        <JobState
          status={status}
          name={isUnderWay(status) && phase ? phaseName(phase) : undefined}
        />
      </td>
      <td className="job-image truncate muted" title={image}>
        {shortImage(image)}
      </td>
      <td className="number">
        <Elapsed fromMs={createdMs} toMs={endedMs} />
      </td>
      {isTraining && <td>{job.run && <RunLink run={job.run} />}</td>}
      <td className="muted">
        <Time at={createdMs} />
      </td>
    </tr>
  )
}

/** The part of an image's name that tells it from others. */
export function shortImage(image: string): string {
  return image.split('/').slice(-1).join('/')
}
