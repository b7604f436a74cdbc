import type { Run } from '@millrace/api/runs'
import { useQueries, useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { FoldedSection } from '../../components/FoldedSection.tsx'
import { Stage } from '../../components/Stage.tsx'
import { client, query } from '../../query.ts'
import { quoteText } from '../../search-text.ts'

/** The models that a run made, and the versions registered from it. */
export function RunModels({ run }: { run: Run }) {
  const { run_id } = run.info
  const outputs = run.outputs?.model_outputs ?? []
  const models = useQueries({
    queries: outputs.map(({ model_id }) => query(client.loggedModels.get, { model_id })),
  })
  const { data } = useQuery(
    query(client.modelVersions.search, { filter: `run_id = ${quoteText(run_id)}` }),
  )
  const versions = data?.model_versions ?? []
  return (
    <>
      {outputs.length > 0 && (
        <FoldedSection title="Logged models" count={outputs.length}>
          <ul className="side-list">
            {outputs.map(({ model_id }, index) => (
              <li key={model_id}>
                <span className="truncate">{models[index]?.data?.model.info.name ?? model_id}</span>
                <code className="muted truncate">{model_id}</code>
              </li>
            ))}
          </ul>
        </FoldedSection>
      )}
      {versions.length > 0 && (
        <FoldedSection title="Registered as" count={versions.length}>
          <ul className="side-list">
            {versions.map(({ name, version, current_stage, aliases = [] }) => (
              <li key={`${name} ${version}`}>
                <Link
                  className="truncate"
                  to="/models/$name/versions/$version"
                  params={{ name, version }}
                >
                  {name} version {version}
                </Link>
                <Stage stage={current_stage} />
                {aliases.map((alias) => (
                  <span key={alias} className="chip">
                    @{alias}
                  </span>
                ))}
              </li>
            ))}
          </ul>
        </FoldedSection>
      )}
    </>
  )
}
