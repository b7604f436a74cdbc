import type { ModelVersion } from '@millrace/api/model-versions'
import type { RegisteredModel } from '@millrace/api/registered-models'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Stage } from '../../components/Stage.tsx'
import { TagChips } from '../../components/TagChips.tsx'
import { formatNumber } from '../../format.ts'
import { client, query } from '../../query.ts'
import { mainMetric } from '../../run-columns.ts'
import { valuesOf } from '../../run-values.ts'
import { Time } from '../../ui/Time.tsx'
import { VersionActions } from './VersionActions.tsx'

interface VersionsTableProps {
  versions: readonly ModelVersion[]
  aliases: NonNullable<RegisteredModel['aliases']>
}

export function VersionsTable({ versions, aliases }: VersionsTableProps) {
  return (
    <table className="list-table" aria-label="Versions">
      <thead>
        <tr>
          <th>Version</th>
          <th>Aliases and stage</th>
          <th>From run</th>
          <th>Tags</th>
          <th>Registered</th>
          <th>
            <span className="visually-hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {versions.map((version) => {
          const own = aliases.filter((alias) => alias.version === version.version)
          return (
            <VersionRow
              key={version.version}
              version={version}
              aliases={own.map(({ alias }) => alias)}
            />
          )
        })}
      </tbody>
    </table>
  )
}

function VersionRow({ version, aliases }: { version: ModelVersion; aliases: string[] }) {
  const { name, version: number, status, tags = [] } = version
  return (
    <tr>
      <td className="list-name">
        <Link to="/models/$name/versions/$version" params={{ name, version: number }}>
          Version {number}
        </Link>
        {status !== 'READY' && (
          <span className="muted"> {status.toLowerCase().replace('_', ' ')}</span>
        )}
      </td>
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
      <td>{version.run_id !== '' && <SourceRun run_id={version.run_id} />}</td>
      <td>
        <TagChips tags={tags} />
      </td>
      <td className="muted">
        <Time at={version.creation_timestamp} />
      </td>
      <td className="list-actions">
        <VersionActions version={version} aliases={aliases} />
      </td>
    </tr>
  )
}

/** The run that a version came from, with the metric that it is judged by. */
export function SourceRun({ run_id }: { run_id: string }) {
  const { data, isError } = useQuery({
    ...query(client.runs.get, { run_id }),
    staleTime: 60_000,
  })
  if (isError) return <code className="muted">{run_id}</code>
  if (data === undefined) return null
  const { run } = data
  const metric = mainMetric([run])
  const value = metric === undefined ? undefined : valuesOf(run).metrics.get(metric)
  return (
    <span className="last-run">
      <Link
        className="truncate"
        to="/experiments/$experimentId/runs/$runId"
        params={{ experimentId: run.info.experiment_id, runId: run_id }}
      >
        {run.info.run_name}
      </Link>
      {value !== undefined && (
        <span className="number muted">
          {metric} {formatNumber(value)}
        </span>
      )}
    </span>
  )
}
