import { getRouteApi } from '@tanstack/react-router'
import { Page } from '../../components/Page.tsx'
import { SearchBox } from '../../ui/SearchBox.tsx'
import { Segments } from '../../ui/Segments.tsx'
import { compact } from '../../url-search.ts'
import { JobsTable } from './JobsTable.tsx'
import type { JobKind } from './jobs-search.ts'
import { TuningJobsTable } from './TuningJobsTable.tsx'
import '../../ui/list-table.css'
import './jobs.css'

const route = getRouteApi('/jobs')
const KINDS = [
  { value: 'training', label: 'Training' },
  { value: 'tuning', label: 'Tuning' },
  { value: 'processing', label: 'Processing' },
  { value: 'transform', label: 'Batch transform' },
] as const satisfies { value: JobKind; label: string }[]

/** The jobs of the control plane, the newest first. */
export function JobsPage() {
  const { kind = 'training', name = '' } = route.useSearch()
  const navigate = route.useNavigate()
  return (
    <Page title="Jobs">
      <main className="page-body">
        <div className="list-tools">
          <Segments
            label="Kind of job"
            value={kind}
            options={KINDS}
            onChange={(chosen) => navigate({ search: { kind: chosen }, replace: true })}
          />
          <SearchBox
            key={kind}
            label="Search by name"
            value={name}
            onSearch={(text) =>
              navigate({
                search: compact({ kind, name: text === '' ? undefined : text }),
                replace: true,
              })
            }
          />
        </div>
        {kind === 'tuning' ? (
          <TuningJobsTable contains={name} />
        ) : (
          <JobsTable kind={kind} contains={name} />
        )}
      </main>
    </Page>
  )
}
