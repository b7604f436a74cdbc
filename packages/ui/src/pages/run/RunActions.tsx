import type { Run } from '@millrace/api/runs'
import { Link } from '@tanstack/react-router'
import { ArchiveRestore, GitCompareArrows, Pencil, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { client, useAction } from '../../query.ts'
import { parentOf } from '../../run-values.ts'
import { ActionMenu, type MenuAction } from '../../ui/ActionMenu.tsx'
import { Field } from '../../ui/Field.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'

/** What can be done with a run. */
export function RunActions({ run }: { run: Run }) {
  const { run_id, run_name, lifecycle_stage } = run.info
  const [dialog, setDialog] = useState<'rename' | 'delete'>()
  const close = () => setDialog(undefined)
  const update = useAction(client.runs.update)
  const remove = useAction(client.runs.delete)
  const restore = useAction(client.runs.restore)
  const parent = parentOf(run)
  const actions: MenuAction[] =
    lifecycle_stage === 'deleted'
      ? [{ label: 'Restore', icon: ArchiveRestore, run: () => restore.mutate({ run_id }) }]
      : [
          { label: 'Rename', icon: Pencil, run: () => setDialog('rename') },
          { label: 'Delete', icon: Trash2, isDanger: true, run: () => setDialog('delete') },
        ]
  return (
    <>
      {parent !== undefined && (
        <Link to="/compare" search={{ runs: `${parent},${run_id}` }} className="button">
          <GitCompareArrows className="icon" aria-hidden />
          Compare with parent
        </Link>
      )}
      <ActionMenu label="Actions of the run" actions={actions} />
      <FormDialog
        title={`Rename ${run_name}`}
        action="Rename"
        open={dialog === 'rename'}
        onClose={close}
        onSubmit={(form) =>
          update.mutateAsync({ run_id, run_name: String(form.get('name')).trim() })
        }
      >
        <Field label="New name" name="name" defaultValue={run_name} isRequired />
      </FormDialog>
      <FormDialog
        title={`Delete ${run_name}?`}
        action="Delete run"
        isDanger
        open={dialog === 'delete'}
        onClose={close}
        onSubmit={() => remove.mutateAsync({ run_id })}
      >
        <p>
          The run goes to the bin and can be restored until it is purged. Models registered from it
          stay.
        </p>
      </FormDialog>
    </>
  )
}
