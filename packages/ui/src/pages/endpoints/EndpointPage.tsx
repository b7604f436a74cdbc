import type { EndpointDetails } from '@millrace/api/sagemaker-pages'
import { useSuspenseQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { FailureCard } from '../../components/FailureCard.tsx'
import { Fact, Identity } from '../../components/Identity.tsx'
import { isUnderWay, JobState } from '../../components/JobState.tsx'
import { LogView } from '../../components/LogView.tsx'
import { Page } from '../../components/Page.tsx'
import { planePath, planeQuery, queryClient } from '../../query.ts'
import { CopyButton } from '../../ui/CopyButton.tsx'
import { Time } from '../../ui/Time.tsx'
import { CallsSection } from './CallsSection.tsx'
import { EndpointActions } from './EndpointActions.tsx'
import { TestConsole } from './TestConsole.tsx'
import { VariantsTable } from './VariantsTable.tsx'
import '../../components/overview.css'
import '../../ui/list-table.css'
import './endpoints.css'

const route = getRouteApi('/endpoints/$name')
const LIVE_MS = 1500

const endpointQuery = (name: string) => planeQuery<EndpointDetails>(planePath`/endpoints/${name}`)

export async function loader(name: string) {
  await queryClient.ensureQueryData(endpointQuery(name))
}

export function EndpointPage() {
  const { name } = route.useParams()
  const navigate = route.useNavigate()
  const { data: endpoint } = useSuspenseQuery({ ...endpointQuery(name), refetchInterval: LIVE_MS })
  const { status, failureReason } = endpoint
  return (
    <Page
      above={[
        <Link key="all" to="/endpoints">
          Endpoints
        </Link>,
      ]}
      title={name}
      actions={
        <EndpointActions endpoint={endpoint} onDeleted={() => navigate({ to: '/endpoints' })} />
      }
    >
      <Identity>
        <Fact name="State">
          <JobState status={status} />
        </Fact>
        <Fact name="Made">
          <Time at={endpoint.createdMs} />
        </Fact>
        <Fact name="Configuration">
          <code>{endpoint.configName}</code>
        </Fact>
        <Fact name="ARN">
          <code className="truncate">{endpoint.arn}</code>
          <CopyButton text={endpoint.arn} label="Copy ARN" />
        </Fact>
      </Identity>
      <main className="page-body">
        {failureReason !== undefined && (
          <FailureCard
            title={status === 'Failed' ? 'This endpoint has failed' : 'The last change failed'}
            reason={failureReason}
            advice={
              status === 'Failed'
                ? 'The log below shows what its servers said. Delete it, correct the model or its image, and make it again.'
                : 'What served before serves on. The log shows what the new servers said.'
            }
          />
        )}
        <VariantsTable endpoint={endpoint} />
        <div className="overview">
          <div className="overview-main">
            <TestConsole key={`console ${name}`} endpoint={endpoint} />
            <LogView
              key={`log ${name}`}
              path={planePath`/endpoints/${name}/log`}
              isLive={status === 'InService' || isUnderWay(status)}
            />
          </div>
          <aside className="overview-side" aria-label="Details">
            <CallsSection calls={endpoint.calls} />
          </aside>
        </div>
      </main>
    </Page>
  )
}
