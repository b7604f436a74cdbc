import type { EndpointDetails } from '@millrace/api/sagemaker-pages'
import { useSuspenseQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { Trash2 } from 'lucide-react'
import { useState } from 'react'
import { FailureCard } from '../../components/FailureCard.tsx'
import { Fact, Identity } from '../../components/Identity.tsx'
import { isUnderWay, JobState } from '../../components/JobState.tsx'
import { LogView } from '../../components/LogView.tsx'
import { Page } from '../../components/Page.tsx'
import { askPlane, planePath, planeQuery, queryClient, useAction } from '../../query.ts'
import { ActionMenu } from '../../ui/ActionMenu.tsx'
import { CopyButton } from '../../ui/CopyButton.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'
import { Time } from '../../ui/Time.tsx'
import { CallsSection } from './CallsSection.tsx'
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
      actions={<Actions name={name} onDeleted={() => navigate({ to: '/endpoints' })} />}
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
            <TestConsole endpoint={endpoint} />
            <LogView
              key={name}
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

function Actions({ name, onDeleted }: { name: string; onDeleted: () => void }) {
  const [isDeleting, setDeleting] = useState(false)
  const remove = useAction(() => askPlane(planePath`/endpoints/${name}/delete`, { body: {} }))
  return (
    <>
      <ActionMenu
        label="Actions of the endpoint"
        actions={[{ label: 'Delete', icon: Trash2, isDanger: true, run: () => setDeleting(true) }]}
      />
      <FormDialog
        title={`Delete ${name}?`}
        action="Delete endpoint"
        isDanger
        open={isDeleting}
        onClose={() => setDeleting(false)}
        onSubmit={async () => {
          await remove.mutateAsync(undefined)
          onDeleted()
        }}
      >
        <p>
          Programs that call it are refused from then on. Its configuration and its models stay.
        </p>
      </FormDialog>
    </>
  )
}
