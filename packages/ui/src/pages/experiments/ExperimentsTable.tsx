import type { Experiment } from '@millrace/api/experiments'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ArchiveRestore, Pencil, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { RunState } from '../../components/RunState.tsx'
import { TagChips } from '../../components/TagChips.tsx'
import { client, query, useAction } from '../../query.ts'
import { ActionMenu, type MenuAction } from '../../ui/ActionMenu.tsx'
import { Time } from '../../ui/Time.tsx'
import { DeleteExperiment, RenameExperiment } from './experiment-dialogs.tsx'
import '../../ui/list-table.css'

interface ExperimentsTableProps {
  experiments: readonly Experiment[]
  isDeleted: boolean
}

export function ExperimentsTable({ experiments, isDeleted }: ExperimentsTableProps) {
  return (
    <table className="list-table">
      <thead>
        <tr>
          <th>Name</th>
          <th>Last run</th>
          <th>Tags</th>
          <th>Created</th>
          <th>
            <span className="visually-hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {experiments.map((experiment) => (
          <ExperimentRow
            key={experiment.experiment_id}
            experiment={experiment}
            isDeleted={isDeleted}
          />
        ))}
      </tbody>
    </table>
  )
}

function ExperimentRow({ experiment, isDeleted }: { experiment: Experiment; isDeleted: boolean }) {
  const { experiment_id, name, tags = [], creation_time } = experiment
  return (
    <tr>
      <td className="list-name">
        <Link to="/experiments/$experimentId" params={{ experimentId: experiment_id }}>
          {name}
        </Link>
      </td>
      <td>
        <LastRun experiment_id={experiment_id} isDeleted={isDeleted} />
      </td>
      <td>
        <TagChips tags={tags} />
      </td>
      <td className="muted">
        <Time at={creation_time} />
      </td>
      <td className="list-actions">
        <ExperimentActions experiment={experiment} isDeleted={isDeleted} />
      </td>
    </tr>
  )
}

function LastRun({ experiment_id, isDeleted }: { experiment_id: string; isDeleted: boolean }) {
  const { data } = useQuery({
    ...query(client.runs.search, {
      experiment_ids: [experiment_id],
      max_results: 1,
      order_by: ['attributes.start_time DESC'],
      run_view_type: isDeleted ? 'ALL' : 'ACTIVE_ONLY',
    }),
    staleTime: 10_000,
    refetchInterval: 10_000,
  })
  const run = data?.runs?.[0]
  if (run === undefined) return data ? <span className="muted">no runs yet</span> : null
  return (
    <span className="last-run">
      <RunState status={run.info.status} />
      <Link
        className="truncate"
        to="/experiments/$experimentId/runs/$runId"
        params={{ experimentId: experiment_id, runId: run.info.run_id }}
      >
        {run.info.run_name}
      </Link>
      <span className="muted">
        <Time at={run.info.start_time} />
      </span>
    </span>
  )
}

function ExperimentActions({
  experiment,
  isDeleted,
}: {
  experiment: Experiment
  isDeleted: boolean
}) {
  const [dialog, setDialog] = useState<'rename' | 'delete'>()
  const restore = useAction(client.experiments.restore)
  const close = () => setDialog(undefined)
  const { experiment_id, name } = experiment
  const actions: MenuAction[] = isDeleted
    ? [
        {
          label: 'Restore',
          icon: ArchiveRestore,
          run: () => restore.mutate({ experiment_id }),
        },
      ]
    : [
        { label: 'Rename', icon: Pencil, run: () => setDialog('rename') },
        { label: 'Delete', icon: Trash2, isDanger: true, run: () => setDialog('delete') },
      ]
  return (
    <>
      <ActionMenu label={`Actions for ${name}`} actions={actions} />
      <RenameExperiment experiment={experiment} open={dialog === 'rename'} onClose={close} />
      <DeleteExperiment experiment={experiment} open={dialog === 'delete'} onClose={close} />
    </>
  )
}
