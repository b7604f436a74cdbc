import type { JobRun } from '@millrace/api/sagemaker-pages'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { client, query } from '../../query.ts'

/** The run that a job has made, by its name. */
export function RunLink({ run: { experimentId, runId } }: { run: JobRun }) {
  const { data } = useQuery({ ...query(client.runs.get, { run_id: runId }), staleTime: 30_000 })
  return (
    <Link to="/experiments/$experimentId/runs/$runId" params={{ experimentId, runId }}>
      {data?.run.info.run_name ?? runId.slice(-8)}
    </Link>
  )
}
