import type { Experiment } from '@millrace/api/experiments'
import { useNavigate } from '@tanstack/react-router'
import { client, useAction } from '../../query.ts'
import { Field } from '../../ui/Field.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'

export function CreateExperiment({ open, onClose }: { open: boolean; onClose: () => void }) {
  const create = useAction(client.experiments.create)
  const navigate = useNavigate()
  return (
    <FormDialog
      title="New experiment"
      action="Create"
      open={open}
      onClose={onClose}
      onSubmit={async (form) => {
        const name = String(form.get('name')).trim()
        const { experiment_id } = await create.mutateAsync({ name })
        await navigate({
          to: '/experiments/$experimentId',
          params: { experimentId: experiment_id },
        })
      }}
    >
      <Field label="Name" name="name" placeholder="team/what-is-tried" isRequired />
    </FormDialog>
  )
}

interface ExperimentDialogProps {
  experiment: Experiment
  open: boolean
  onClose: () => void
}

export function RenameExperiment({ experiment, open, onClose }: ExperimentDialogProps) {
  const update = useAction(client.experiments.update)
  return (
    <FormDialog
      title={`Rename ${experiment.name}`}
      action="Rename"
      open={open}
      onClose={onClose}
      onSubmit={(form) =>
        update.mutateAsync({
          experiment_id: experiment.experiment_id,
          new_name: String(form.get('name')).trim(),
        })
      }
    >
      <Field label="New name" name="name" defaultValue={experiment.name} isRequired />
    </FormDialog>
  )
}

export function DeleteExperiment({ experiment, open, onClose }: ExperimentDialogProps) {
  const remove = useAction(client.experiments.delete)
  return (
    <FormDialog
      title={`Delete ${experiment.name}?`}
      action="Delete experiment"
      isDanger
      open={open}
      onClose={onClose}
      onSubmit={() => remove.mutateAsync({ experiment_id: experiment.experiment_id })}
    >
      <p>
        The experiment and its runs go to the bin. They can be restored from “Deleted” until they
        are purged; artifacts stay where they are.
      </p>
    </FormDialog>
  )
}
