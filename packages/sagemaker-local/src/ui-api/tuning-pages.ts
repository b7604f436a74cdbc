import type {
  JobRun,
  TuningJobDetails,
  TuningJobList,
  TuningJobRow,
  TuningTrial,
} from '@millrace/api/sagemaker-pages'
import type { OperationContext } from '../operations/operation.ts'
import { type ListInput, listResources } from '../state/list-resources.ts'
import { type KnownTrial, listTrials } from '../tuning-jobs/trial-summaries.ts'
import {
  definitionsOf,
  findTuningJob,
  objectiveOf,
  type TuningJob,
  type TuningJobDocument,
  type TuningProgress,
} from '../tuning-jobs/tuning-job.ts'
import { noSuch } from './page-error.ts'
import { milliseconds } from './training-pages.ts'

export function listTuningJobs({ state }: OperationContext, input: ListInput): TuningJobList {
  const page = listResources<TuningJobDocument, TuningProgress>(
    state,
    'hyper-parameter-tuning-job',
    input,
  )
  return {
    jobs: page.resources.map((job) => rowOf(job)),
    ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }),
  }
}

/**
 * A tuning job with all of its trials.
 *
 * @throws AwsError that becomes a 404 when there is none of that name
 */
export function describeTuningJob({ state }: OperationContext, name: string): TuningJobDetails {
  const job = findTuningJob(state, name)
  if (!job) throw noSuch('tuning job', name)
  const { document, progress } = job
  const best = document.BestTrainingJob?.TrainingJobName
  const parallel = document.HyperParameterTuningJobConfig.ResourceLimits.MaxParallelTrainingJobs
  return {
    ...rowOf(job),
    arn: job.arn,
    ...(best === undefined ? {} : { bestTrial: best }),
    ...(progress.parentRun ? { parentRun: progress.parentRun } : {}),
    ...(parallel === undefined ? {} : { parallel }),
    trials: listTrials(state, job).flatMap((trial) => trialOf(trial) ?? []),
  }
}

function rowOf({ name, createdMs, document }: TuningJob): TuningJobRow {
  const { Strategy, ResourceLimits } = document.HyperParameterTuningJobConfig
  const objective = objectiveOf(document, definitionsOf(document)[0])
  const best = document.BestTrainingJob?.FinalHyperParameterTuningJobObjectiveMetric?.Value
  const limit = ResourceLimits.MaxNumberOfTrainingJobs
  const { HyperParameterTuningEndTime: ended, FailureReason } = document
  return {
    name,
    status: document.HyperParameterTuningJobStatus,
    strategy: Strategy,
    createdMs,
    completed: document.TrainingJobStatusCounters.Completed,
    ...(ended === undefined ? {} : { endedMs: milliseconds(ended) }),
    ...(limit === undefined ? {} : { limit }),
    ...(objective ? { objective: { metric: objective.MetricName, goal: objective.Type } } : {}),
    ...(best === undefined ? {} : { best }),
    ...(FailureReason === undefined ? {} : { failureReason: FailureReason }),
  }
}

function trialOf({ record, job, objective }: KnownTrial): TuningTrial | undefined {
  if (!job) return undefined
  const { TrainingEndTime, MlflowDetails, FailureReason, TrainingJobStatus } = job.document
  const run: JobRun | undefined = MlflowDetails && {
    experimentId: MlflowDetails.MlflowExperimentId,
    runId: MlflowDetails.MlflowRunId,
  }
  return {
    name: record.name,
    status: TrainingJobStatus,
    parameters: record.parameters,
    createdMs: job.createdMs,
    ...(objective === undefined ? {} : { objective }),
    ...(TrainingEndTime === undefined ? {} : { endedMs: milliseconds(TrainingEndTime) }),
    ...(run ? { run } : {}),
    ...(FailureReason === undefined ? {} : { failureReason: FailureReason }),
  }
}
