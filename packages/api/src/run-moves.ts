import { z } from 'zod'
import { endpoint } from './endpoint.ts'
import { RunInfo } from './runs.ts'
import { RequiredId, RequiredText } from './wire.ts'

/** Most runs that one request moves. */
export const MOVED_RUNS_MAX = 100

/** The tag of a copy that names the run it was made of. */
export const COPIED_FROM_TAG = 'millrace.copiedFrom'

/** What MLflow has no endpoints for; below a version of our own. */
export const runMoves = {
  move: endpoint({
    method: 'POST',
    path: '/mlflow/runs/move',
    version: 'millrace-1.0',
    summary:
      'Move active runs into another active experiment, with the logged models they made. All of them move, or none. Ids and artifacts stay as and where they are.',
    access: { permission: 'EDIT', on: 'run', field: 'run_ids' },
    effect: 'write',
    input: z.object({
      run_ids: z.array(RequiredText).min(1).max(MOVED_RUNS_MAX),
      experiment_id: RequiredId,
    }),
    output: z.object({ run_infos: z.array(RunInfo) }),
  }),
  copy: endpoint({
    method: 'POST',
    path: '/mlflow/runs/copy',
    version: 'millrace-1.0',
    summary:
      'Copy a run into an active experiment, as a new run with the same metrics, params, tags, inputs and outputs. Its files follow with `copy-artifacts`.',
    access: { permission: 'READ', on: 'run', field: 'run_id' },
    effect: 'write',
    makesNew: true,
    input: z.object({
      run_id: RequiredText,
      experiment_id: RequiredId,
      run_name: z.string().optional(),
    }),
    output: z.object({ run_info: RunInfo }),
  }),
  copyArtifacts: endpoint({
    method: 'POST',
    path: '/mlflow/runs/copy-artifacts',
    version: 'millrace-1.0',
    summary:
      'Copy to a copied run those artifacts of the run it was made of that it does not have. Done again it goes on where it was cut short.',
    access: { permission: 'EDIT', on: 'run', field: 'run_id' },
    effect: 'artifacts',
    input: z.object({ run_id: RequiredText }),
    output: z.object({ files: z.number(), bytes: z.number(), copied: z.number() }),
  }),
}
