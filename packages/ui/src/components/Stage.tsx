import type { ModelStage } from '@millrace/api/model-versions'

/** A version's stage; nothing for "None", which says nothing. */
export function Stage({ stage }: { stage: ModelStage }) {
  return stage === 'None' ? null : <span className="chip">{stage}</span>
}
