import './json-tree.css'

const SHOWN = 200
const OPEN_DEPTH = 2
const TEXT = 2000

/** A value of JSON or YAML that unfolds level by level. */
export function JsonTree({ value }: { value: unknown }) {
  return (
    <div className="json-tree">
      <Node value={value} depth={0} />
    </div>
  )
}

interface NodeProps {
  name?: string
  value: unknown
  depth: number
}

function Node({ name, value, depth }: NodeProps) {
  if (typeof value !== 'object' || value === null) {
    return (
      <div className="json-leaf">
        {name !== undefined && <span className="json-key">{name}</span>}
        <span className={`json-${value === null ? 'null' : typeof value}`}>{leafText(value)}</span>
      </div>
    )
  }
  const isList = Array.isArray(value)
  const entries = Object.entries(value)
  const size = isList ? `${entries.length} items` : `${entries.length} keys`
  return (
    <details open={depth < OPEN_DEPTH && entries.length <= SHOWN}>
      <summary>
        {name !== undefined && <span className="json-key">{name}</span>}
        <span className="muted">{isList ? `[${size}]` : `{${size}}`}</span>
      </summary>
      {entries.slice(0, SHOWN).map(([key, child]) => (
        <Node key={key} name={key} value={child} depth={depth + 1} />
      ))}
      {entries.length > SHOWN && (
        <p className="muted">and {entries.length - SHOWN} more; see the source</p>
      )}
    </details>
  )
}

function leafText(value: unknown): string {
  const text = typeof value === 'string' ? value : String(value)
  return text.length > TEXT ? `${text.slice(0, TEXT)}…` : text
}
