import type { EndpointDetails } from '@millrace/api/sagemaker-pages'
import { RotateCw, Trash2, Undo2 } from 'lucide-react'
import { useState } from 'react'
import { isUnderWay } from '../../components/JobState.tsx'
import { askPlane, planePath, useAction } from '../../query.ts'
import { ActionMenu } from '../../ui/ActionMenu.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'
import { UpdateDialog } from './UpdateDialog.tsx'

interface EndpointActionsProps {
  endpoint: EndpointDetails
  onDeleted: () => void
}

/** Updating, rolling back and deleting an endpoint. */
export function EndpointActions({ endpoint, onDeleted }: EndpointActionsProps) {
  const [dialog, setDialog] = useState<'update' | 'back' | 'delete'>()
  const { name, status, previousConfigName } = endpoint
  const update = useAction((configName: string) =>
    askPlane(planePath`/endpoints/${name}/update`, { body: { configName } }),
  )
  const remove = useAction(() => askPlane(planePath`/endpoints/${name}/delete`, { body: {} }))
  const close = () => setDialog(undefined)
  const isBusy = isUnderWay(status)
  return (
    <>
      <ActionMenu
        label="Actions of the endpoint"
        actions={[
          { label: 'Delete', icon: Trash2, isDanger: true, run: () => setDialog('delete') },
        ]}
      />
      {previousConfigName !== undefined && (
        <button
          type="button"
          className="button"
          disabled={isBusy}
          onClick={() => setDialog('back')}
        >
          <Undo2 className="icon" aria-hidden />
          Roll back
        </button>
      )}
      <button
        type="button"
        className="button"
        disabled={isBusy}
        onClick={() => setDialog('update')}
      >
        <RotateCw className="icon" aria-hidden />
        Update
      </button>
      <UpdateDialog
        endpoint={endpoint}
        open={dialog === 'update'}
        onClose={close}
        onUpdate={(configName) => update.mutateAsync(configName)}
      />
      <FormDialog
        title={`Roll ${name} back?`}
        action="Roll back"
        open={dialog === 'back'}
        onClose={close}
        onSubmit={() => update.mutateAsync(previousConfigName ?? '')}
      >
        <p>
          It gets <code>{previousConfigName}</code> again, which it had before. What serves now goes
          on until the others answer.
        </p>
      </FormDialog>
      <FormDialog
        title={`Delete ${name}?`}
        action="Delete endpoint"
        isDanger
        open={dialog === 'delete'}
        onClose={close}
        onSubmit={async () => {
          await remove.mutateAsync(undefined)
          onDeleted()
        }}
      >
        <p>
          Programs that call it are refused from then on. Its configuration and its models stay.
        </p>
      </FormDialog>
    </>
  )
}
