import type { TrainingJobDetails } from '@millrace/api/sagemaker-pages'
import { RotateCw, Square, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { isUnderWay } from '../../components/JobState.tsx'
import { askPlane, planePath, useAction } from '../../query.ts'
import { ActionMenu } from '../../ui/ActionMenu.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'
import { RetryDialog } from './RetryDialog.tsx'

interface TrainingJobActionsProps {
  job: TrainingJobDetails
  /** Told the name of a job that was made like this one. */
  onMade: (name: string) => void
  onDeleted: () => void
}

/** Stopping, retrying and deleting a training job. */
export function TrainingJobActions({ job, onMade, onDeleted }: TrainingJobActionsProps) {
  const [dialog, setDialog] = useState<'retry' | 'delete'>()
  const path = planePath`/training-jobs/${job.name}`
  const stop = useAction(() => askPlane(`${path}/stop`, { body: {} }))
  const remove = useAction(() => askPlane(`${path}/delete`, { body: {} }))
  const close = () => setDialog(undefined)
  return (
    <>
      {stop.error && (
        <span role="alert" className="field-error">
          {stop.error.message}
        </span>
      )}
      {isUnderWay(job.status) ? (
        <button
          type="button"
          className="button"
          disabled={job.status === 'Stopping' || stop.isPending}
          onClick={() => stop.mutate(undefined)}
        >
          <Square className="icon" aria-hidden />
          Stop
        </button>
      ) : (
        <ActionMenu
          label="Actions of the job"
          actions={[
            { label: 'Delete', icon: Trash2, isDanger: true, run: () => setDialog('delete') },
          ]}
        />
      )}
      <button type="button" className="button" onClick={() => setDialog('retry')}>
        <RotateCw className="icon" aria-hidden />
        Retry with changes
      </button>
      <RetryDialog job={job} open={dialog === 'retry'} onClose={close} onMade={onMade} />
      <FormDialog
        title={`Delete ${job.name}?`}
        action="Delete job"
        isDanger
        open={dialog === 'delete'}
        onClose={close}
        onSubmit={async () => {
          await remove.mutateAsync(undefined)
          onDeleted()
        }}
      >
        <p>Its log goes too, for good. Its runs, and what it wrote to S3, stay.</p>
      </FormDialog>
    </>
  )
}
