import { Pencil, Plus, X } from 'lucide-react'
import { useState } from 'react'
import { useAction } from '../query.ts'
import { isOwnTag } from '../run-values.ts'
import { Field } from '../ui/Field.tsx'
import { FormDialog } from '../ui/FormDialog.tsx'
import { FoldedSection } from './FoldedSection.tsx'
import { LongText } from './LongText.tsx'

interface TagEditorProps {
  tags: readonly (readonly [key: string, value: string])[]
  onSet: (key: string, value: string) => Promise<unknown>
  onDelete: (key: string) => Promise<unknown>
}

/** The tags that people set; they can be added, changed and deleted. */
export function TagEditor({ tags, onSet, onDelete }: TagEditorProps) {
  const [edited, setEdited] = useState<readonly [key: string, value: string]>()
  const set = useAction(([key, value]: readonly [string, string]) => onSet(key, value))
  const remove = useAction(onDelete)
  const own = tags.filter(([key]) => isOwnTag(key)).sort(([a], [b]) => a.localeCompare(b))
  return (
    <FoldedSection
      title="Tags"
      count={own.length}
      actions={
        <button
          type="button"
          className="button quiet small"
          onClick={(event) => {
            // The click would fold the section that the button is in.
            event.preventDefault()
            setEdited(['', ''])
          }}
        >
          <Plus className="icon" aria-hidden />
          Add
        </button>
      }
    >
      <table className="pairs">
        <tbody>
          {own.map(([key, value]) => (
            <tr key={key}>
              <th scope="row">{key}</th>
              <td>
                <LongText text={value} />
              </td>
              <td className="pair-action">
                <button
                  type="button"
                  className="copy"
                  aria-label={`Change tag ${key}`}
                  onClick={() => setEdited([key, value])}
                >
                  <Pencil className="icon" aria-hidden />
                </button>
              </td>
              <td className="pair-action">
                <button
                  type="button"
                  className="copy"
                  aria-label={`Delete tag ${key}`}
                  onClick={() => remove.mutate(key)}
                >
                  <X className="icon" aria-hidden />
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {remove.error && <p className="field-error">{remove.error.message}</p>}
      <FormDialog
        title={edited?.[0] ? `Change tag ${edited[0]}` : 'Add a tag'}
        action="Save"
        open={edited !== undefined}
        onClose={() => setEdited(undefined)}
        onSubmit={(form) =>
          set.mutateAsync([String(form.get('key') ?? edited?.[0]), String(form.get('value'))])
        }
      >
        {edited?.[0] === '' && <Field label="Key" name="key" isRequired />}
        <Field label="Value" name="value" defaultValue={edited?.[1] ?? ''} />
      </FormDialog>
    </FoldedSection>
  )
}
