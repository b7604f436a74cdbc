import type { KeyValue } from '@millrace/api/wire'
import { isOwnTag } from '../run-values.ts'
import './tag-chips.css'

const SHOWN = 4

/** The first tags that people set, as `key value` chips. */
export function TagChips({ tags }: { tags: readonly KeyValue[] }) {
  const own = tags.filter(({ key }) => isOwnTag(key))
  if (own.length === 0) return null
  const hidden = own.length - SHOWN
  return (
    <span className="tag-chips">
      {own.slice(0, SHOWN).map(({ key, value }) => (
        <span key={key} className="chip" title={`${key}: ${value}`}>
          <span className="muted">{key}</span>
          <span>{value}</span>
        </span>
      ))}
      {hidden > 0 && <span className="muted">and {hidden} more</span>}
    </span>
  )
}
