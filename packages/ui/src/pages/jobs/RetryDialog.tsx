import type { RetryRequest, TrainingJobDetails } from '@millrace/api/sagemaker-pages'
import { askPlane, planePath, useAction } from '../../query.ts'
import { Field } from '../../ui/Field.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'
import { nextName } from './next-name.ts'
import { readTexts } from './read-texts.ts'

interface RetryDialogProps {
  job: TrainingJobDetails
  open: boolean
  onClose: () => void
  onMade: (name: string) => void
}

/** Makes a job like another one, with other hyperparameters or variables. */
export function RetryDialog({ job, open, onClose, onMade }: RetryDialogProps) {
  const retry = useAction((request: RetryRequest) =>
    askPlane<{ name: string }>(planePath`/training-jobs/${job.name}/retry`, { body: request }),
  )
  return (
    <FormDialog
      title={`A job like ${job.name}`}
      action="Start the job"
      isWide
      open={open}
      onClose={onClose}
      onSubmit={async (form) => {
        const made = await retry.mutateAsync({
          name: String(form.get('name')).trim(),
          hyperParameters: readTexts('Hyperparameters', String(form.get('hyperparameters'))),
          environment: readTexts('Environment', String(form.get('environment'))),
        })
        onMade(made.name)
      }}
    >
      <p className="muted">Image, inputs, instances and tags are those of the job above.</p>
      <Field label="Name of the new job" name="name" defaultValue={nextName(job.name)} isRequired />
      <Field
        label="Hyperparameters, as JSON with texts"
        name="hyperparameters"
        defaultValue={JSON.stringify(job.hyperParameters, null, 2)}
        isLong
      />
      <Field
        label="Environment, as JSON with texts"
        name="environment"
        defaultValue={JSON.stringify(job.environment, null, 2)}
        isLong
      />
    </FormDialog>
  )
}
