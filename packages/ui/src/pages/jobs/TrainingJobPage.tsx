import type { TrainingJobDetails } from '@millrace/api/sagemaker-pages'
import { useSuspenseQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Elapsed } from '../../components/Elapsed.tsx'
import { FailureCard } from '../../components/FailureCard.tsx'
import { Fact, Identity } from '../../components/Identity.tsx'
import { isUnderWay, JobState } from '../../components/JobState.tsx'
import { KeyValueTable } from '../../components/KeyValueTable.tsx'
import { LogView } from '../../components/LogView.tsx'
import { Page } from '../../components/Page.tsx'
import { planePath, planeQuery, queryClient } from '../../query.ts'
import { CopyButton } from '../../ui/CopyButton.tsx'
import { Time } from '../../ui/Time.tsx'
import { failureAdvice } from './failure-advice.ts'
import { JobMetrics } from './JobMetrics.tsx'
import { JobPhases } from './JobPhases.tsx'
import { JobPlaces } from './JobPlaces.tsx'
import { JobRuns } from './JobRuns.tsx'
import { phaseName } from './phase-name.ts'
import { TrainingJobActions } from './TrainingJobActions.tsx'
import '../../components/overview.css'
import './jobs.css'

const route = getRouteApi('/jobs/training/$name')
const LIVE_MS = 1000
const NAME = /^MaxRuntimeExceeded$|^MaxWaitTimeExceeded$/

const jobQuery = (name: string) => planeQuery<TrainingJobDetails>(planePath`/training-jobs/${name}`)

export async function loader(name: string) {
  await queryClient.ensureQueryData(jobQuery(name))
}

export function TrainingJobPage() {
  const { name } = route.useParams()
  const navigate = route.useNavigate()
  const { data: job } = useSuspenseQuery({
    ...jobQuery(name),
    refetchInterval: ({ state }) => (isUnderWay(state.data?.status ?? '') ? LIVE_MS : false),
  })
  const isLive = isUnderWay(job.status)
  const reason = job.failureReason ?? (NAME.test(job.phase ?? '') ? job.phase : undefined)
  return (
    <Page
      above={[
        <Link key="all" to="/jobs">
          Jobs
        </Link>,
      ]}
      title={name}
      actions={
        <TrainingJobActions
          key={name}
          job={job}
          onMade={(made) => navigate({ to: '/jobs/training/$name', params: { name: made } })}
          onDeleted={() => navigate({ to: '/jobs' })}
        />
      }
    >
      <JobIdentity job={job} />
      <main className="page-body">
        <div className="overview">
          <div className="overview-main">
            {reason !== undefined && (
              <FailureCard
                title={job.status === 'Failed' ? 'This job has failed' : 'This job was cut short'}
                reason={reason}
                advice={failureAdvice(reason)}
              />
            )}
            <JobMetrics metrics={job.metrics} />
            <LogView key={name} path={planePath`/training-jobs/${name}/log`} isLive={isLive} />
          </div>
          <aside className="overview-side" aria-label="Details">
            <JobPhases phases={job.phases} isLive={isLive} />
            <JobRuns name={name} isLive={isLive} />
            <KeyValueTable title="Hyperparameters" entries={Object.entries(job.hyperParameters)} />
            <JobPlaces {...job} />
            <KeyValueTable title="Environment" entries={Object.entries(job.environment)} />
            <KeyValueTable title="Tags" entries={Object.entries(job.tags)} />
          </aside>
        </div>
      </main>
    </Page>
  )
}

function JobIdentity({ job }: { job: TrainingJobDetails }) {
  const isLive = isUnderWay(job.status)
  return (
    <Identity>
      <Fact name="State">
        <JobState
          status={job.status}
          name={isLive && job.phase ? phaseName(job.phase) : undefined}
        />
      </Fact>
      <Fact name="Started">
        <Time at={job.createdMs} />
      </Fact>
      <Fact name={isLive ? 'For' : 'Took'}>
        <Elapsed fromMs={job.createdMs} toMs={job.endedMs} />
      </Fact>
      <Fact name="On">
        {job.instanceCount > 1 && `${job.instanceCount} × `}
        {job.instanceType}
      </Fact>
      <Fact name="Image">
        <code className="truncate job-image" title={job.image}>
          {job.image}
        </code>
        <CopyButton text={job.image} label="Copy image" />
      </Fact>
      {job.tuningJob !== undefined && (
        <Fact name="Trial of">
          <Link to="/jobs/tuning/$name" params={{ name: job.tuningJob }}>
            {job.tuningJob}
          </Link>
        </Fact>
      )}
    </Identity>
  )
}
