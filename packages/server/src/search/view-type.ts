import { STAGE_ACTIVE, STAGE_DELETED } from '../db/schema.ts'

/** Exports MLflow's `ViewType` and the stages that it shows. */
export type ViewType = 'ACTIVE_ONLY' | 'DELETED_ONLY' | 'ALL'

export function stagesOf(viewType: ViewType): readonly number[] {
  if (viewType === 'ALL') return [STAGE_ACTIVE, STAGE_DELETED]
  return [viewType === 'ACTIVE_ONLY' ? STAGE_ACTIVE : STAGE_DELETED]
}
