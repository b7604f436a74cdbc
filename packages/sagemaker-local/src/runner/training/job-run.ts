import { z } from 'zod'
import type { Outcome } from './training-job.ts'

const ANSWER_MS = 5_000

const Experiments = z.object({
  experiments: z.array(z.object({ experiment_id: z.string() })).default([]),
})
const Runs = z.object({
  runs: z
    .array(
      z.object({
        info: z.object({ run_id: z.string(), experiment_id: z.string(), status: z.string() }),
      }),
    )
    .default([]),
})

const RUN_STATUS = { Completed: 'FINISHED', Failed: 'FAILED', Stopped: 'KILLED' } as const

/**
 * The MLflow run that a job has started, by the tag that its environment put on it; the first one when
 * there are several. One that the job did not live to end is ended as the job was. Undefined when there
 * is none, and when the tracking server cannot be asked.
 */
export async function endJobRun(
  trackingUri: string | undefined,
  arn: string,
  status: Outcome['status'],
) {
  if (trackingUri === undefined || !/^https?:/.test(trackingUri)) return undefined
  try {
    const ask = (path: string, body: object) =>
      post(`${trackingUri.replace(/\/$/, '')}${path}`, body)
    const { experiments } = Experiments.parse(
      await ask('/api/2.0/mlflow/experiments/search', { max_results: 1000 }),
    )
    const { runs } = Runs.parse(
      await ask('/api/2.0/mlflow/runs/search', {
        experiment_ids: experiments.map(({ experiment_id }) => experiment_id),
        filter: `tags.\`sagemaker.training_job_arn\` = '${arn}'`,
        order_by: ['attributes.start_time ASC'],
        max_results: 1,
      }),
    )
    const run = runs[0]?.info
    if (run?.status === 'RUNNING') {
      const end = { run_id: run.run_id, status: RUN_STATUS[status], end_time: Date.now() }
      await ask('/api/2.0/mlflow/runs/update', end)
    }
    return run && { MlflowExperimentId: run.experiment_id, MlflowRunId: run.run_id }
  } catch {
    return undefined
  }
}

/** Asks a tracking server; throws when it does not answer well. */
export async function post(url: string, body: object): Promise<unknown> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(ANSWER_MS),
  })
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
  return answer.json()
}
