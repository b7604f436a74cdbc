import { JsonTree } from './JsonTree.tsx'

export function JsonPreview({ text }: { text: string }) {
  const parsed = parse(text)
  if (parsed.error !== undefined) {
    return (
      <>
        <p className="muted artifact-note">Not valid JSON: {parsed.error}</p>
        <pre className="artifact-text">{text}</pre>
      </>
    )
  }
  return <JsonTree value={parsed.value} />
}

function parse(text: string): { value?: unknown; error?: string } {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) }
  }
}
