import type { TrainingJob } from '../runner/training/training-job.ts'
import type { State } from '../state/open-state.ts'
import { findResource } from '../state/resource-store.ts'
import type { Trial } from '../tuning/trials.ts'
import {
  definitionsOf,
  objectiveOf,
  type TrialRecord,
  type TrialSummary,
  type TuningJob,
  type TuningJobDocument,
} from './tuning-job.ts'

/** A trial with its training job; undefined before that is made, and when it has been deleted. */
export interface KnownTrial {
  record: TrialRecord
  job: TrainingJob | undefined
  objective: number | undefined
}

/** The trials of a tuning job with what has become of them, in the order in which they were begun. */
export function listTrials(state: State, { document, progress }: TuningJob): KnownTrial[] {
  return progress.trials.map((record) => {
    const found = findResource<TrainingJob['document'], TrainingJob['progress']>(
      state,
      'training-job',
      record.name,
    )
    const metric = objectiveOf(document, definitionsOf(document)[record.definition])?.MetricName
    const value = found?.document.FinalMetricDataList?.find(
      ({ MetricName }) => MetricName === metric,
    )?.Value
    return { record, job: found, objective: value }
  })
}

export function isTrialRunning({ job }: KnownTrial): boolean {
  return job !== undefined && ['InProgress', 'Stopping'].includes(job.document.TrainingJobStatus)
}

/** A trial as a strategy sees it. */
export function strategyTrial(trial: KnownTrial): Trial {
  const { record, objective } = trial
  const status = isTrialRunning(trial)
    ? 'running'
    : objective === undefined
      ? 'failed'
      : 'succeeded'
  return {
    parameters: record.parameters,
    status,
    ...(objective === undefined ? {} : { objective }),
  }
}

/** A trial as clients see it; undefined when its training job is not there. */
export function summaryOf(
  document: TuningJobDocument,
  trial: KnownTrial,
): TrialSummary | undefined {
  const { record, job, objective } = trial
  if (!job) return undefined
  const definition = definitionsOf(document)[record.definition]
  const wanted = objectiveOf(document, definition)
  const training = job.document
  const objectiveStatus = isTrialRunning(trial)
    ? 'Pending'
    : objective === undefined
      ? 'Failed'
      : 'Succeeded'
  return {
    ...(definition?.DefinitionName === undefined
      ? {}
      : { TrainingJobDefinitionName: definition.DefinitionName }),
    TrainingJobName: record.name,
    TrainingJobArn: job.arn,
    CreationTime: training.CreationTime,
    ...(training.TrainingStartTime === undefined
      ? {}
      : { TrainingStartTime: training.TrainingStartTime }),
    ...(training.TrainingEndTime === undefined
      ? {}
      : { TrainingEndTime: training.TrainingEndTime }),
    TrainingJobStatus: training.TrainingJobStatus,
    TunedHyperParameters: record.parameters,
    ...(training.FailureReason === undefined ? {} : { FailureReason: training.FailureReason }),
    ...(objective === undefined || !wanted
      ? {}
      : { FinalHyperParameterTuningJobObjectiveMetric: { ...wanted, Value: objective } }),
    ObjectiveStatus: objectiveStatus,
  }
}

/** The trial with the best objective; of several equal ones the first. */
export function bestTrial(
  { document }: Pick<TuningJob, 'document'>,
  trials: KnownTrial[],
): KnownTrial | undefined {
  let best: KnownTrial | undefined
  for (const trial of trials) {
    if (trial.objective === undefined || isTrialRunning(trial)) continue
    const goal = objectiveOf(document, definitionsOf(document)[trial.record.definition])?.Type
    const isBetter =
      best?.objective === undefined ||
      (goal === 'Minimize' ? trial.objective < best.objective : trial.objective > best.objective)
    if (isBetter) best = trial
  }
  return best
}

/** Writes counters and the best trial into what Describe answers. */
export function countTrials(job: TuningJob, trials: KnownTrial[]): void {
  const { document } = job
  const statuses = {
    Completed: 0,
    InProgress: 0,
    RetryableError: 0,
    NonRetryableError: 0,
    Stopped: 0,
  }
  const objectives = { Succeeded: 0, Pending: 0, Failed: 0 }
  for (const trial of trials) {
    const summary = summaryOf(document, trial)
    if (!summary) continue
    objectives[summary.ObjectiveStatus] += 1
    switch (summary.TrainingJobStatus) {
      case 'Completed':
        statuses.Completed += 1
        break
      case 'Failed':
        statuses.NonRetryableError += 1
        break
      case 'Stopped':
        statuses.Stopped += 1
        break
      default:
        statuses.InProgress += 1
    }
  }
  document.TrainingJobStatusCounters = statuses
  document.ObjectiveStatusCounters = objectives
  const best = bestTrial(job, trials)
  const summary = best && summaryOf(document, best)
  if (summary) document.BestTrainingJob = summary
}
