import type { ModelStage } from '@millrace/api/model-versions'

/** A version's stage; nothing for "None", which says nothing. */
export function Stage({ stage, version }: { stage: ModelStage; version?: string }) {
  if (stage === 'None') return null
  return (
    <span className="chip" data-stage={stage}>
      <span>{stage}</span>
      {version !== undefined && <span className="muted">{version}</span>}
    </span>
  )
}
