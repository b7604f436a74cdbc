import { Pencil } from 'lucide-react'
import { useState } from 'react'
import { useAction } from '../query.ts'
import { Field } from '../ui/Field.tsx'
import { FormDialog } from '../ui/FormDialog.tsx'
import { Markdown } from './Markdown.tsx'
import './note.css'

interface NoteProps {
  text: string
  /** What it is called: a note of a run, a description of a model. */
  name?: string
  onSave: (text: string) => Promise<unknown>
}

/** Markdown that people keep beside a thing. */
export function Note({ text, name = 'note', onSave }: NoteProps) {
  const [isEditing, setEditing] = useState(false)
  const save = useAction(onSave)
  const isEmpty = text.trim() === ''
  return (
    <section className="note" aria-label={name} data-empty={isEmpty}>
      <Markdown source={text} />
      <button type="button" className="button quiet small" onClick={() => setEditing(true)}>
        <Pencil className="icon" aria-hidden />
        {isEmpty ? `Add a ${name}` : `Edit the ${name}`}
      </button>
      <FormDialog
        title={isEmpty ? `Add a ${name}` : `Edit the ${name}`}
        action="Save"
        isWide
        open={isEditing}
        onClose={() => setEditing(false)}
        onSubmit={(form) => save.mutateAsync(String(form.get('text')))}
      >
        <Field label="Markdown" name="text" defaultValue={text} isLong />
      </FormDialog>
    </section>
  )
}
