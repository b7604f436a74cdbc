import { Popover } from '@base-ui/react/popover'
import { Columns3 } from 'lucide-react'
import { useState } from 'react'
import type { Column, ColumnKind } from '../../run-columns.ts'
import { SearchBox } from '../../ui/SearchBox.tsx'
import { columnName } from './RunsTableHead.tsx'

interface ColumnPickerProps {
  known: readonly Column[]
  shown: readonly Column[]
  isAutomatic: boolean
  /** The ids to show from here on; undefined for those that vary. */
  onChange: (ids: string[] | undefined) => void
}

const HEADINGS = { metric: 'Metrics', param: 'Params', tag: 'Tags', attribute: 'Attributes' }
const LISTED = 200

/** Which columns the table has. */
export function ColumnPicker(props: ColumnPickerProps) {
  return (
    <Popover.Root>
      <Popover.Trigger className="button">
        <Columns3 className="icon" aria-hidden />
        Columns
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Positioner sideOffset={4} align="end" className="above">
          <Popover.Popup className="floating picker" aria-label="Columns">
            <Picker {...props} />
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  )
}

function Picker({ known, shown, isAutomatic, onChange }: ColumnPickerProps) {
  const [text, setText] = useState('')
  const ids = shown.map(({ id }) => id)
  const matching = known.filter(({ key }) => key.toLowerCase().includes(text.toLowerCase()))
  const toggle = (id: string, isShown: boolean) =>
    onChange(isShown ? [...ids, id] : ids.filter((one) => one !== id))
  return (
    <>
      <div className="picker-top">
        <SearchBox label="Find a column" value="" onSearch={setText} />
        <button
          type="button"
          className="button"
          disabled={isAutomatic}
          onClick={() => onChange(undefined)}
        >
          What varies
        </button>
      </div>
      <div className="picker-list">
        {(Object.keys(HEADINGS) as ColumnKind[]).map((kind) => {
          const own = matching.filter((column) => column.kind === kind)
          if (own.length === 0) return null
          return (
            <section key={kind} aria-label={HEADINGS[kind]}>
              <h3>
                {HEADINGS[kind]} {own.length > LISTED && `(first ${LISTED} of ${own.length})`}
              </h3>
              {own.slice(0, LISTED).map((column) => (
                <label key={column.id}>
                  <input
                    type="checkbox"
                    checked={ids.includes(column.id)}
                    onChange={(event) => toggle(column.id, event.target.checked)}
                  />
                  {columnName(column)}
                </label>
              ))}
            </section>
          )
        })}
      </div>
    </>
  )
}
