import { Link } from '@tanstack/react-router'
import { ArchiveRestore, GitCompareArrows, Trash2, X } from 'lucide-react'
import { useState } from 'react'
import { client, useAction } from '../../query.ts'
import { FormDialog } from '../../ui/FormDialog.tsx'

interface SelectionBarProps {
  selected: readonly string[]
  isDeletedView: boolean
  onClear: () => void
}

/** What can be done with the selected runs. */
export function SelectionBar({ selected, isDeletedView, onClear }: SelectionBarProps) {
  const [isAsking, setAsking] = useState(false)
  const remove = useAction((ids: readonly string[]) =>
    Promise.all(ids.map((run_id) => client.runs.delete({ run_id }))),
  )
  const restore = useAction((ids: readonly string[]) =>
    Promise.all(ids.map((run_id) => client.runs.restore({ run_id }))),
  )
  const count = selected.length
  const runs = count === 1 ? '1 run' : `${count} runs`
  return (
    <div className="selection-bar" role="toolbar" aria-label="Selected runs">
      <span>{runs} selected</span>
      {isDeletedView ? (
        <button
          type="button"
          className="button"
          onClick={() => restore.mutate(selected, { onSuccess: onClear })}
        >
          <ArchiveRestore className="icon" aria-hidden />
          Restore {runs}
        </button>
      ) : (
        <>
          {count > 1 && (
            <Link to="/compare" search={{ runs: selected.join(',') }} className="button primary">
              <GitCompareArrows className="icon" aria-hidden />
              Compare {runs}
            </Link>
          )}
          <button type="button" className="button danger" onClick={() => setAsking(true)}>
            <Trash2 className="icon" aria-hidden />
            Delete
          </button>
        </>
      )}
      <button type="button" className="button quiet" onClick={onClear}>
        <X className="icon" aria-hidden />
        Clear
      </button>
      <FormDialog
        title={`Delete ${runs}?`}
        action={`Delete ${runs}`}
        isDanger
        open={isAsking}
        onClose={() => setAsking(false)}
        onSubmit={async () => {
          await remove.mutateAsync(selected)
          onClear()
        }}
      >
        <p>They go to the bin and can be restored from “Deleted” until they are purged.</p>
      </FormDialog>
    </div>
  )
}
