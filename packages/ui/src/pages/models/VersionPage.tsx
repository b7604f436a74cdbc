import { useSuspenseQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { ArtifactBrowser } from '../../components/artifacts/ArtifactBrowser.tsx'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { Note } from '../../components/Note.tsx'
import { Page } from '../../components/Page.tsx'
import { Stage } from '../../components/Stage.tsx'
import { TagEditor } from '../../components/TagEditor.tsx'
import { client, query, queryClient } from '../../query.ts'
import { CopyButton } from '../../ui/CopyButton.tsx'
import { Time } from '../../ui/Time.tsx'
import { VersionActions } from './VersionActions.tsx'
import { VersionEndpoints } from './VersionEndpoints.tsx'
import { SourceRun } from './VersionsTable.tsx'
import { filesOfVersion } from './version-files.ts'
import './models.css'

const SignatureSection = lazy(() =>
  import('./SignatureSection.tsx').then((module) => ({ default: module.SignatureSection })),
)

const route = getRouteApi('/models/$name/versions/$version')
const versionQuery = (name: string, version: string) =>
  query(client.modelVersions.get, { name, version })

export async function loader({ name, version }: { name: string; version: string }) {
  await queryClient.ensureQueryData(versionQuery(name, version))
}

export function VersionPage() {
  const { name, version: number } = route.useParams()
  const { path } = route.useSearch()
  const navigate = route.useNavigate()
  const { model_version: version } = useSuspenseQuery(versionQuery(name, number)).data
  const { aliases = [], tags = [] } = version
  const files = filesOfVersion(version)
  const where = { name, version: number }
  const uri = `models:/${name}/${number}`
  return (
    <Page
      above={[
        <Link key="all" to="/models">
          Models
        </Link>,
        <Link key="model" to="/models/$name" params={{ name }}>
          {name}
        </Link>,
      ]}
      title={`Version ${number}`}
      actions={
        <VersionActions
          version={version}
          aliases={aliases}
          onDeleted={() => navigate({ to: '/models/$name', params: { name } })}
        />
      }
    >
      <main className="page-body version-body">
        <div>
          <Note
            text={version.description ?? ''}
            name="description"
            onSave={(description) => client.modelVersions.update({ ...where, description })}
          />
          {files ? (
            <ArtifactBrowser
              {...files}
              path={path}
              onOpen={(opened) => void navigate({ search: { path: opened }, replace: true })}
            />
          ) : (
            <p className="empty muted">
              The files of this version are at <code>{version.source}</code>, where this server
              cannot list them.
            </p>
          )}
        </div>
        <aside className="model-side" aria-label="Details">
          <FoldedSection title="Version">
            <table className="pairs">
              <tbody>
                <tr>
                  <th scope="row">Load it as</th>
                  <td>
                    <code>{uri}</code> <CopyButton text={uri} label="Copy the model URI" />
                  </td>
                </tr>
                {(aliases.length > 0 || version.current_stage !== 'None') && (
                  <tr>
                    <th scope="row">Aliases and stage</th>
                    <td>
                      <span className="chips">
                        {aliases.map((alias) => (
                          <span key={alias} className="chip">
                            @{alias}
                          </span>
                        ))}
                        <Stage stage={version.current_stage} />
                      </span>
                    </td>
                  </tr>
                )}
                {version.run_id !== '' && (
                  <tr>
                    <th scope="row">From run</th>
                    <td>
                      <SourceRun run_id={version.run_id} />
                    </td>
                  </tr>
                )}
                <tr>
                  <th scope="row">Registered</th>
                  <td>
                    <Time at={version.creation_timestamp} />
                  </td>
                </tr>
              </tbody>
            </table>
          </FoldedSection>
          <Suspense>
            <SignatureSection name={name} version={number} />
          </Suspense>
          <VersionEndpoints name={name} version={number} tags={tags} />
          <TagEditor
            tags={tags.map(({ key, value }) => [key, value] as const)}
            onSet={(key, value) => client.modelVersions.setTag({ ...where, key, value })}
            onDelete={(key) => client.modelVersions.deleteTag({ ...where, key })}
          />
        </aside>
      </main>
    </Page>
  )
}
