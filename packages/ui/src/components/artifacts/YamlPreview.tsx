import { parse, YAMLError } from 'yaml'
import { JsonTree } from './JsonTree.tsx'

/** YAML as a tree; references may not blow it up, and a text that is none is shown as it is. */
export function YamlPreview({ text }: { text: string }) {
  const { value, error } = read(text)
  if (error !== undefined || typeof value !== 'object' || value === null) {
    return (
      <>
        {error !== undefined && <p className="muted artifact-note">Not valid YAML: {error}</p>}
        <pre className="artifact-text">{text}</pre>
      </>
    )
  }
  return <JsonTree value={value} />
}

function read(text: string): { value?: unknown; error?: string } {
  try {
    return { value: parse(text, { maxAliasCount: 100, logLevel: 'silent' }) as unknown }
  } catch (error) {
    if (error instanceof YAMLError || error instanceof ReferenceError)
      return { error: error.message }
    throw error
  }
}
