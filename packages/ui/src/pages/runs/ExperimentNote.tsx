import { Popover } from '@base-ui/react/popover'
import type { Experiment } from '@millrace/api/experiments'
import { NotebookText } from 'lucide-react'
import { useState } from 'react'
import { Markdown } from '../../components/Markdown.tsx'
import { client, useAction } from '../../query.ts'
import { Field } from '../../ui/Field.tsx'
import { FormDialog } from '../../ui/FormDialog.tsx'

const NOTE = 'mlflow.note.content'

/** What people wrote about an experiment. */
export function ExperimentNote({ experiment }: { experiment: Experiment }) {
  const [isEditing, setEditing] = useState(false)
  const setTag = useAction(client.experiments.setTag)
  const { experiment_id, tags = [] } = experiment
  const note = tags.find(({ key }) => key === NOTE)?.value ?? ''
  return (
    <>
      <Popover.Root>
        <Popover.Trigger className="button quiet">
          <NotebookText className="icon" aria-hidden />
          {note === '' ? 'Add a note' : 'Note'}
        </Popover.Trigger>
        <Popover.Portal>
          <Popover.Positioner sideOffset={4} align="end" className="above">
            <Popover.Popup className="floating note-popup" aria-label="Note">
              <Markdown source={note} />
              <button type="button" className="button" onClick={() => setEditing(true)}>
                Edit the note
              </button>
            </Popover.Popup>
          </Popover.Positioner>
        </Popover.Portal>
      </Popover.Root>
      <FormDialog
        title={`Note on ${experiment.name}`}
        action="Save"
        isWide
        open={isEditing}
        onClose={() => setEditing(false)}
        onSubmit={(form) =>
          setTag.mutateAsync({ experiment_id, key: NOTE, value: String(form.get('note')) })
        }
      >
        <Field label="Markdown" name="note" defaultValue={note} isLong />
      </FormDialog>
    </>
  )
}
