import { z } from 'zod'
import type { JobContext } from '../runner/job-kind.ts'
import { post } from '../runner/training/job-run.ts'
import { bestTrial, isTrialRunning, type KnownTrial } from './trial-summaries.ts'
import { findTuningJob, type TuningJob, updateTuningJob } from './tuning-job.ts'

const Created = z.object({ run: z.object({ info: z.object({ run_id: z.string() }) }) })
const RUN_STATUS = { Completed: 'FINISHED', Failed: 'FAILED', Stopped: 'KILLED' } as const

/**
 * Makes the runs of a tuning job's trials the children of one run, in the experiment that the first
 * of them has chosen. A tracking server that does not answer holds nothing up.
 */
export async function linkRuns(job: JobContext, trials: KnownTrial[]): Promise<void> {
  const uri = trackerOf(job)
  const tuning = findTuningJob(job.state, job.name)
  if (uri === undefined || !tuning) return
  for (const trial of trials) {
    const run = trial.job?.document.MlflowDetails
    if (!run || isTrialRunning(trial) || tuning.progress.linked.includes(trial.record.name))
      continue
    try {
      const parent =
        tuning.progress.parentRun ?? (await createParent(uri, tuning, run.MlflowExperimentId))
      tuning.progress.parentRun = parent
      await setTag(uri, run.MlflowRunId, 'mlflow.parentRunId', parent.runId)
      await setTag(uri, run.MlflowRunId, 'sagemaker.tuning_job_name', job.name)
      tuning.progress.linked.push(trial.record.name)
      updateTuningJob(job.state, job.name, ({ progress }) => {
        progress.parentRun = parent
        progress.linked = tuning.progress.linked
      })
    } catch {
      return
    }
  }
}

/** Ends the parent run with what has come of the tuning job, and marks its best child. */
export async function endParentRun(
  job: JobContext,
  trials: KnownTrial[],
  status: keyof typeof RUN_STATUS,
): Promise<void> {
  const uri = trackerOf(job)
  const tuning = findTuningJob(job.state, job.name)
  const parent = tuning?.progress.parentRun
  if (uri === undefined || !tuning || !parent) return
  const best = bestTrial(tuning, trials)
  try {
    if (best?.objective !== undefined) {
      const metric = tuning.document.BestTrainingJob?.FinalHyperParameterTuningJobObjectiveMetric
      await post(`${uri}/api/2.0/mlflow/runs/log-batch`, {
        run_id: parent.runId,
        metrics: [
          {
            key: `best_${metric?.MetricName ?? 'objective'}`.replaceAll(/[^\w\-. /]/g, '_'),
            value: best.objective,
            timestamp: Date.now(),
            step: 0,
          },
        ],
        params: Object.entries(best.record.parameters).map(([key, value]) => ({
          key: `best_${key}`,
          value,
        })),
        tags: [{ key: 'sagemaker.best_training_job_name', value: best.record.name }],
      })
      const run = best.job?.document.MlflowDetails
      if (run) await setTag(uri, run.MlflowRunId, 'sagemaker.best_trial', 'true')
    }
    await post(`${uri}/api/2.0/mlflow/runs/update`, {
      run_id: parent.runId,
      status: RUN_STATUS[status],
      end_time: Date.now(),
    })
  } catch {
    // The jobs are what counts; the tracking server is not there or does not want this.
  }
}

function trackerOf({ settings }: JobContext): string | undefined {
  const uri = settings.trackingUri
  return uri !== undefined && /^https?:/.test(uri) ? uri.replace(/\/$/, '') : undefined
}

async function createParent(uri: string, tuning: TuningJob, experimentId: string) {
  const { run } = Created.parse(
    await post(`${uri}/api/2.0/mlflow/runs/create`, {
      experiment_id: experimentId,
      run_name: tuning.name,
      start_time: tuning.createdMs,
      tags: [
        { key: 'sagemaker.tuning_job_name', value: tuning.name },
        { key: 'sagemaker.tuning_job_arn', value: tuning.arn },
      ],
    }),
  )
  return { runId: run.info.run_id, experimentId }
}

async function setTag(uri: string, runId: string, key: string, value: string): Promise<void> {
  await post(`${uri}/api/2.0/mlflow/runs/set-tag`, { run_id: runId, key, value })
}
