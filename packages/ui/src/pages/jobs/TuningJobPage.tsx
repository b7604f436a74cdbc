import type { TuningJobDetails } from '@millrace/api/sagemaker-pages'
import { useSuspenseQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Square, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { Elapsed } from '../../components/Elapsed.tsx'
import { FailureCard } from '../../components/FailureCard.tsx'
import { Fact, Identity } from '../../components/Identity.tsx'
import { isUnderWay, JobState } from '../../components/JobState.tsx'
import { Page } from '../../components/Page.tsx'
import { formatNumber } from '../../format.ts'
import { askPlane, planePath, planeQuery, queryClient, useAction } from '../../query.ts'
import { ActionMenu } from '../../ui/ActionMenu.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'
import { Time } from '../../ui/Time.tsx'
import { BestCurve } from './BestCurve.tsx'
import { failureAdvice } from './failure-advice.ts'
import { RunLink } from './RunLink.tsx'
import { TrialsTable } from './TrialsTable.tsx'
import '../../ui/list-table.css'
import './jobs.css'

const route = getRouteApi('/jobs/tuning/$name')
const LIVE_MS = 1500

const jobQuery = (name: string) => planeQuery<TuningJobDetails>(planePath`/tuning-jobs/${name}`)

export async function loader(name: string) {
  await queryClient.ensureQueryData(jobQuery(name))
}

export function TuningJobPage() {
  const { name } = route.useParams()
  const navigate = route.useNavigate()
  const { data: job } = useSuspenseQuery({
    ...jobQuery(name),
    refetchInterval: ({ state }) => (isUnderWay(state.data?.status ?? '') ? LIVE_MS : false),
  })
  return (
    <Page
      above={[
        <Link key="all" to="/jobs" search={{ kind: 'tuning' }}>
          Jobs
        </Link>,
      ]}
      title={name}
      actions={
        <Actions
          job={job}
          onDeleted={() => navigate({ to: '/jobs', search: { kind: 'tuning' } })}
        />
      }
    >
      <TuningIdentity job={job} />
      <main className="page-body">
        {job.failureReason !== undefined && (
          <FailureCard
            title="This tuning job has failed"
            reason={job.failureReason}
            advice={failureAdvice(job.failureReason)}
          />
        )}
        <BestCurve job={job} />
        <TrialsTable job={job} />
      </main>
    </Page>
  )
}

function TuningIdentity({ job }: { job: TuningJobDetails }) {
  const { status, strategy, objective, best, completed, limit, parallel, parentRun } = job
  return (
    <Identity>
      <Fact name="State">
        <JobState status={status} />
      </Fact>
      <Fact name="Trials">
        {completed}
        {limit !== undefined && ` of ${limit}`}
        {parallel !== undefined && `, ${parallel} at a time`}
      </Fact>
      <Fact name="Strategy">{strategy}</Fact>
      {objective && (
        <Fact name={objective.goal === 'Minimize' ? 'Minimizes' : 'Maximizes'}>
          {objective.metric}
        </Fact>
      )}
      {best !== undefined && <Fact name="Best">{formatNumber(best)}</Fact>}
      <Fact name="Started">
        <Time at={job.createdMs} />
      </Fact>
      <Fact name={isUnderWay(status) ? 'For' : 'Took'}>
        <Elapsed fromMs={job.createdMs} toMs={job.endedMs} />
      </Fact>
      {parentRun && (
        <Fact name="Run">
          <RunLink run={parentRun} />
        </Fact>
      )}
    </Identity>
  )
}

function Actions({ job, onDeleted }: { job: TuningJobDetails; onDeleted: () => void }) {
  const [isDeleting, setDeleting] = useState(false)
  const path = planePath`/tuning-jobs/${job.name}`
  const stop = useAction(() => askPlane(`${path}/stop`, { body: {} }))
  const remove = useAction(() => askPlane(`${path}/delete`, { body: {} }))
  if (isUnderWay(job.status)) {
    return (
      <button
        type="button"
        className="button"
        disabled={job.status === 'Stopping' || stop.isPending}
        onClick={() => stop.mutate(undefined)}
      >
        <Square className="icon" aria-hidden />
        Stop
      </button>
    )
  }
  return (
    <>
      <ActionMenu
        label="Actions of the job"
        actions={[{ label: 'Delete', icon: Trash2, isDanger: true, run: () => setDeleting(true) }]}
      />
      <FormDialog
        title={`Delete ${job.name}?`}
        action="Delete tuning job"
        isDanger
        open={isDeleting}
        onClose={() => setDeleting(false)}
        onSubmit={async () => {
          await remove.mutateAsync(undefined)
          onDeleted()
        }}
      >
        <p>Its training jobs and their runs stay.</p>
      </FormDialog>
    </>
  )
}
