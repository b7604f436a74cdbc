import type { EndpointList, EndpointRow } from '@millrace/api/sagemaker-pages'
import { useSuspenseQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { JobState } from '../../components/JobState.tsx'
import { Page } from '../../components/Page.tsx'
import { planeQuery } from '../../query.ts'
import { CodeBlock } from '../../ui/CodeBlock.tsx'
import { Time } from '../../ui/Time.tsx'
import { ModelOfVariant } from './ModelOfVariant.tsx'
import '../../ui/list-table.css'

const LIVE_MS = 1500
const CODE = [
  'from mlflow.deployments import get_deploy_client',
  'client = get_deploy_client("sagemaker")  # after eval "$(millrace env)" in the shell',
  'client.create_deployment("my-endpoint", "models:/my-model/1", config={"image_url": "mlflow-pyfunc"})',
].join('\n')

/** The endpoints of the control plane, the newest first. */
export function EndpointsPage() {
  const { data } = useSuspenseQuery({
    ...planeQuery<EndpointList>('/endpoints'),
    refetchInterval: LIVE_MS,
  })
  return (
    <Page title="Endpoints">
      <main className="page-body">
        {data.endpoints.length === 0 ? (
          <section className="empty">
            <h2>No endpoint yet</h2>
            <p>An endpoint serves a model to programs, and can be tried out here.</p>
            <CodeBlock code={CODE} label="Copy the lines" />
          </section>
        ) : (
          <EndpointsTable endpoints={data.endpoints} />
        )}
      </main>
    </Page>
  )
}

function EndpointsTable({ endpoints }: { endpoints: readonly EndpointRow[] }) {
  return (
    <table className="list-table" aria-label="Endpoints">
      <thead>
        <tr>
          <th>Name</th>
          <th>State</th>
          <th>Models</th>
          <th className="number">Servers</th>
          <th>Changed</th>
          <th>Made</th>
        </tr>
      </thead>
      <tbody>
        {endpoints.map(({ name, status, variants, createdMs, modifiedMs, failureReason }) => (
          <tr key={name}>
            <td className="list-name">
              <Link to="/endpoints/$name" params={{ name }}>
                {name}
              </Link>
            </td>
            <td title={failureReason}>
              <JobState status={status} />
            </td>
            <td>
              <span className="chips">
                {variants.map((variant) => (
                  <ModelOfVariant key={`${variant.name} ${variant.isNext}`} variant={variant} />
                ))}
              </span>
            </td>
            <td className="number">
              {sum(variants.map(({ ready }) => ready))}
              <span className="muted"> of {sum(variants.map(({ wanted }) => wanted))}</span>
            </td>
            <td className="muted">
              <Time at={modifiedMs} />
            </td>
            <td className="muted">
              <Time at={createdMs} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function sum(numbers: readonly number[]): number {
  let total = 0
  for (const number of numbers) total += number
  return total
}
