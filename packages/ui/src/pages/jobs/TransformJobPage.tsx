import type { TransformJobDetails } from '@millrace/api/sagemaker-pages'
import { useSuspenseQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Elapsed } from '../../components/Elapsed.tsx'
import { FailureCard } from '../../components/FailureCard.tsx'
import { Fact, Identity } from '../../components/Identity.tsx'
import { isUnderWay, JobState } from '../../components/JobState.tsx'
import { LogView } from '../../components/LogView.tsx'
import { Page } from '../../components/Page.tsx'
import { VersionLink } from '../../components/VersionLink.tsx'
import { planePath, planeQuery, queryClient } from '../../query.ts'
import { Time } from '../../ui/Time.tsx'
import { failureAdvice } from './failure-advice.ts'
import { JobPlaces } from './JobPlaces.tsx'
import { StopButton } from './StopButton.tsx'
import '../../components/overview.css'
import './jobs.css'

const route = getRouteApi('/jobs/transform/$name')
const LIVE_MS = 1000

const jobQuery = (name: string) =>
  planeQuery<TransformJobDetails>(planePath`/transform-jobs/${name}`)

export async function loader(name: string) {
  await queryClient.ensureQueryData(jobQuery(name))
}

export function TransformJobPage() {
  const { name } = route.useParams()
  const { data: job } = useSuspenseQuery({
    ...jobQuery(name),
    refetchInterval: ({ state }) => (isUnderWay(state.data?.status ?? '') ? LIVE_MS : false),
  })
  const isLive = isUnderWay(job.status)
  return (
    <Page
      above={[
        <Link key="all" to="/jobs" search={{ kind: 'transform' }}>
          Jobs
        </Link>,
      ]}
      title={name}
      actions={<StopButton path={planePath`/transform-jobs/${name}/stop`} status={job.status} />}
    >
      <Identity>
        <Fact name="State">
          <JobState status={job.status} />
        </Fact>
        <Fact name="Started">
          <Time at={job.createdMs} />
        </Fact>
        <Fact name={isLive ? 'For' : 'Took'}>
          <Elapsed fromMs={job.createdMs} toMs={job.endedMs} />
        </Fact>
        <Fact name="On">{job.instanceType}</Fact>
        <Fact name="Model">
          {job.version ? <VersionLink version={job.version} /> : <code>{job.modelName}</code>}
        </Fact>
      </Identity>
      <main className="page-body">
        <div className="overview">
          <div className="overview-main">
            {job.failureReason !== undefined && (
              <FailureCard
                title="This job has failed"
                reason={job.failureReason}
                advice={failureAdvice(job.failureReason)}
              />
            )}
            <LogView key={name} path={planePath`/transform-jobs/${name}/log`} isLive={isLive} />
          </div>
          <aside className="overview-side" aria-label="Details">
            <JobPlaces inputs={job.inputs} outputUri={job.outputUri} />
          </aside>
        </div>
      </main>
    </Page>
  )
}
