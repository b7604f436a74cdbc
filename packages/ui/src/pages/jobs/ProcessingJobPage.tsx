import type { ProcessingJobDetails } from '@millrace/api/sagemaker-pages'
import { useSuspenseQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Elapsed } from '../../components/Elapsed.tsx'
import { FailureCard } from '../../components/FailureCard.tsx'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { Fact, Identity } from '../../components/Identity.tsx'
import { isUnderWay, JobState } from '../../components/JobState.tsx'
import { KeyValueTable } from '../../components/KeyValueTable.tsx'
import { LogView } from '../../components/LogView.tsx'
import { Page } from '../../components/Page.tsx'
import { planePath, planeQuery, queryClient } from '../../query.ts'
import { CodeBlock } from '../../ui/CodeBlock.tsx'
import { CopyButton } from '../../ui/CopyButton.tsx'
import { Time } from '../../ui/Time.tsx'
import { failureAdvice } from './failure-advice.ts'
import { JobPlaces } from './JobPlaces.tsx'
import { StopButton } from './StopButton.tsx'
import '../../components/overview.css'
import './jobs.css'

const route = getRouteApi('/jobs/processing/$name')
const LIVE_MS = 1000

const jobQuery = (name: string) =>
  planeQuery<ProcessingJobDetails>(planePath`/processing-jobs/${name}`)

export async function loader(name: string) {
  await queryClient.ensureQueryData(jobQuery(name))
}

export function ProcessingJobPage() {
  const { name } = route.useParams()
  const { data: job } = useSuspenseQuery({
    ...jobQuery(name),
    refetchInterval: ({ state }) => (isUnderWay(state.data?.status ?? '') ? LIVE_MS : false),
  })
  const isLive = isUnderWay(job.status)
  return (
    <Page
      above={[
        <Link key="all" to="/jobs" search={{ kind: 'processing' }}>
          Jobs
        </Link>,
      ]}
      title={name}
      actions={<StopButton path={planePath`/processing-jobs/${name}/stop`} status={job.status} />}
    >
      <JobIdentity job={job} />
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
            {job.exitMessage !== undefined && (
              <FoldedSection title="Exit message">
                <p>{job.exitMessage}</p>
              </FoldedSection>
            )}
            <LogView key={name} path={planePath`/processing-jobs/${name}/log`} isLive={isLive} />
          </div>
          <aside className="overview-side" aria-label="Details">
            <JobPlaces inputs={job.inputs} outputs={job.outputs} />
            <FoldedSection title="Command">
              <CodeBlock code={job.command.join(' ')} label="Copy the command" />
            </FoldedSection>
            <KeyValueTable title="Environment" entries={Object.entries(job.environment)} />
          </aside>
        </div>
      </main>
    </Page>
  )
}

function JobIdentity({ job }: { job: ProcessingJobDetails }) {
  return (
    <Identity>
      <Fact name="State">
        <JobState status={job.status} />
      </Fact>
      <Fact name="Started">
        <Time at={job.createdMs} />
      </Fact>
      <Fact name={isUnderWay(job.status) ? 'For' : 'Took'}>
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
    </Identity>
  )
}
