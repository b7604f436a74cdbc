import type { EndpointList } from '@millrace/api/sagemaker-pages'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { hasPlane } from '../../base-path.ts'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { JobState } from '../../components/JobState.tsx'
import { planeQuery } from '../../query.ts'

interface VersionEndpointsProps {
  name: string
  version: string
  tags: readonly { key: string; value: string }[]
}

/** The tag by which a deployed version knows its endpoints: their ARNs with commas between them. */
const ENDPOINT_TAG = 'millrace.sagemaker.endpoint'
const LIVE_MS = 5000

/** The endpoints that serve a version, by its tag and by what runs on this machine. */
export function VersionEndpoints({ name, version, tags }: VersionEndpointsProps) {
  const { data } = useQuery({
    ...planeQuery<EndpointList>('/endpoints'),
    enabled: hasPlane,
    refetchInterval: LIVE_MS,
  })
  const tag = tags.find(({ key }) => key === ENDPOINT_TAG)?.value ?? ''
  const told = tag.split(',').filter((arn) => arn !== '')
  const local = (data?.endpoints ?? []).filter(
    (endpoint) =>
      told.includes(endpoint.arn) ||
      endpoint.variants.some(
        (variant) => variant.version?.name === name && variant.version.version === version,
      ),
  )
  const elsewhere = told.filter((arn) => !local.some((endpoint) => endpoint.arn === arn))
  if (local.length + elsewhere.length === 0) return null
  return (
    <FoldedSection title="Endpoints" count={local.length + elsewhere.length}>
      <ul className="side-list">
        {local.map((endpoint) => (
          <li key={endpoint.arn}>
            <Link className="truncate" to="/endpoints/$name" params={{ name: endpoint.name }}>
              {endpoint.name}
            </Link>
            <JobState status={endpoint.status} />
          </li>
        ))}
        {elsewhere.map((arn) => (
          <li key={arn}>
            <code className="truncate" title={arn}>
              {arn}
            </code>
          </li>
        ))}
      </ul>
    </FoldedSection>
  )
}
