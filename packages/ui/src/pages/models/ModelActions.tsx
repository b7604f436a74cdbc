import { useNavigate } from '@tanstack/react-router'
import { Pencil, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { client, useAction } from '../../query.ts'
import { ActionMenu } from '../../ui/ActionMenu.tsx'
import { Field } from '../../ui/Field.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'

/** What can be done with a registered model. */
export function ModelActions({ name }: { name: string }) {
  const [dialog, setDialog] = useState<'rename' | 'delete'>()
  const navigate = useNavigate()
  // The page's own question would fail as soon as the name is gone, so it is left first.
  const rename = useAction(async (new_name: string) => {
    const renamed = await client.registeredModels.rename({ name, new_name })
    await navigate({ to: '/models/$name', params: { name: new_name } })
    return renamed
  })
  const remove = useAction(async () => {
    await client.registeredModels.delete({ name })
    await navigate({ to: '/models' })
  })
  const close = () => setDialog(undefined)
  return (
    <>
      <ActionMenu
        label="Actions of the model"
        actions={[
          { label: 'Rename', icon: Pencil, run: () => setDialog('rename') },
          { label: 'Delete', icon: Trash2, isDanger: true, run: () => setDialog('delete') },
        ]}
      />
      <FormDialog
        title={`Rename ${name}`}
        action="Rename"
        open={dialog === 'rename'}
        onClose={close}
        onSubmit={(form) => rename.mutateAsync(String(form.get('name')).trim())}
      >
        <Field label="New name" name="name" defaultValue={name} isRequired />
      </FormDialog>
      <FormDialog
        title={`Delete ${name}?`}
        action="Delete model"
        isDanger
        open={dialog === 'delete'}
        onClose={close}
        onSubmit={() => remove.mutateAsync(undefined)}
      >
        <p>
          All versions, tags and aliases of the model are deleted for good. Runs and artifacts stay.
        </p>
      </FormDialog>
    </>
  )
}
