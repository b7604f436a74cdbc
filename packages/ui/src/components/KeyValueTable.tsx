import { useState } from 'react'
import { numberIn } from '../run-values.ts'
import { SearchBox } from '../ui/SearchBox.tsx'
import { FoldedSection } from './FoldedSection.tsx'
import { LongText } from './LongText.tsx'

interface KeyValueTableProps {
  title: string
  entries: readonly (readonly [key: string, value: string])[]
}

const SEARCHED_FROM = 12
const SHOWN = 300

/** Keys with their texts, searchable when there are many. */
export function KeyValueTable({ title, entries }: KeyValueTableProps) {
  const [text, setText] = useState('')
  if (entries.length === 0) return null
  const sought = text.toLowerCase()
  const matching = entries
    .filter(([key, value]) => `${key} ${value}`.toLowerCase().includes(sought))
    .sort(([a], [b]) => a.localeCompare(b))
  return (
    <FoldedSection title={title} count={entries.length}>
      {entries.length > SEARCHED_FROM && (
        <SearchBox label={`Search ${title.toLowerCase()}`} value="" onSearch={setText} />
      )}
      <table className="pairs">
        <tbody>
          {matching.slice(0, SHOWN).map(([key, value]) => (
            <tr key={key}>
              <th scope="row">{key}</th>
              <td className={numberIn(value) === undefined ? undefined : 'number'}>
                <LongText text={value} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {matching.length > SHOWN && (
        <p className="muted">and {matching.length - SHOWN} more; search to see them</p>
      )}
    </FoldedSection>
  )
}
