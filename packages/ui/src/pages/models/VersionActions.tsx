import { MODEL_STAGES, type ModelVersion } from '@millrace/api/model-versions'
import { AtSign, Milestone, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { client, useAction } from '../../query.ts'
import { ActionMenu } from '../../ui/ActionMenu.tsx'
import { Field } from '../../ui/Field.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'

interface VersionActionsProps {
  version: ModelVersion
  aliases: readonly string[]
  onDeleted?: () => void
}

/** Aliases, stage and deletion of a version. */
export function VersionActions({ version, aliases, onDeleted }: VersionActionsProps) {
  const [dialog, setDialog] = useState<'aliases' | 'stage' | 'delete'>()
  const remove = useAction(client.modelVersions.delete)
  const { name, version: number } = version
  const close = () => setDialog(undefined)
  return (
    <>
      <ActionMenu
        label={`Actions for version ${number}`}
        actions={[
          { label: 'Aliases', icon: AtSign, run: () => setDialog('aliases') },
          { label: 'Move to a stage', icon: Milestone, run: () => setDialog('stage') },
          { label: 'Delete', icon: Trash2, isDanger: true, run: () => setDialog('delete') },
        ]}
      />
      <AliasesDialog {...{ version, aliases }} open={dialog === 'aliases'} onClose={close} />
      <StageDialog version={version} open={dialog === 'stage'} onClose={close} />
      <FormDialog
        title={`Delete version ${number} of ${name}?`}
        action="Delete version"
        isDanger
        open={dialog === 'delete'}
        onClose={close}
        onSubmit={async () => {
          await remove.mutateAsync({ name, version: number })
          onDeleted?.()
        }}
      >
        <p>
          This cannot be undone, and the number is not given out again. The run and its artifacts
          stay
          {aliases.length > 0 &&
            `; ${aliases.map((alias) => `@${alias}`).join(', ')} will name nothing`}
          .
        </p>
      </FormDialog>
    </>
  )
}

interface VersionDialogProps {
  version: ModelVersion
  open: boolean
  onClose: () => void
}

function AliasesDialog({
  version: { name, version },
  aliases,
  open,
  onClose,
}: VersionDialogProps & { aliases: readonly string[] }) {
  const change = useAction(async (wanted: readonly string[]) => {
    const added = wanted.filter((alias) => !aliases.includes(alias))
    const removed = aliases.filter((alias) => !wanted.includes(alias))
    for (const alias of added) await client.registeredModels.setAlias({ name, alias, version })
    for (const alias of removed) await client.registeredModels.deleteAlias({ name, alias })
  })
  return (
    <FormDialog
      title={`Aliases of version ${version}`}
      action="Save"
      open={open}
      onClose={onClose}
      onSubmit={(form) =>
        change.mutateAsync(
          String(form.get('aliases'))
            .split(/[\s,]+/)
            .map((alias) => alias.replace(/^@/, ''))
            .filter((alias) => alias !== ''),
        )
      }
    >
      <p className="muted">
        Clients load a version by its alias, such as models:/{name}@champion. An alias that names
        another version moves to this one.
      </p>
      <Field
        label="Aliases, with spaces between them"
        name="aliases"
        defaultValue={aliases.join(' ')}
      />
    </FormDialog>
  )
}

function StageDialog({ version, open, onClose }: VersionDialogProps) {
  const { name, version: number, current_stage } = version
  const move = useAction(client.modelVersions.transitionStage)
  return (
    <FormDialog
      title={`Move version ${number} to a stage`}
      action="Move"
      open={open}
      onClose={onClose}
      onSubmit={(form) =>
        move.mutateAsync({
          name,
          version: number,
          stage: String(form.get('stage')),
          archive_existing_versions: form.get('archive') === 'on',
        })
      }
    >
      <label className="field">
        <span>Stage</span>
        <select className="input" name="stage" defaultValue={current_stage}>
          {MODEL_STAGES.map((stage) => (
            <option key={stage}>{stage}</option>
          ))}
        </select>
      </label>
      <label className="check">
        <input type="checkbox" name="archive" />
        Archive the versions that are in that stage
      </label>
    </FormDialog>
  )
}
