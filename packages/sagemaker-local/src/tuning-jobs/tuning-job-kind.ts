import { setTimeout as wait } from 'node:timers/promises'
import { AwsError } from '../http/aws-error.ts'
import { createTrainingJob } from '../operations/create-training-job.ts'
import { seconds } from '../operations/resource-names.ts'
import type { JobContext, JobKind } from '../runner/job-kind.ts'
import { nextTrial, trainingJobOf } from './next-trial.ts'
import { endParentRun, linkRuns } from './parent-run.ts'
import { isStoppingEarly, stopEarly, stopTrial } from './stop-early.ts'
import {
  bestTrial,
  countTrials,
  isTrialRunning,
  type KnownTrial,
  listTrials,
} from './trial-summaries.ts'
import {
  definitionsOf,
  findTuningJob,
  isTuningRunning,
  objectiveOf,
  type TrialRecord,
  type TuningJob,
  updateTuningJob,
} from './tuning-job.ts'

const LOOK_MS = 1_000
const FAILED_MAX = 5

/** Tuning jobs, from InProgress to their end. They take no place: their training jobs do. */
export const tuningJobKind: JobKind = {
  kind: 'hyper-parameter-tuning-job',
  async run(job) {
    for (;;) {
      job.signal.throwIfAborted()
      const tuning = findTuningJob(job.state, job.name)
      if (!tuning || !isTuningRunning(tuning)) return
      makeMissing(job, tuning)
      const trials = listTrials(job.state, tuning)
      updateTuningJob(job.state, job.name, (current) => countTrials(current, trials))
      await linkRuns(job, trials)
      const running = trials.filter(isTrialRunning)
      const ending = tuning.progress.ending ?? endingOf(tuning, trials)
      if (ending) {
        if (running.length === 0) return await conclude(job, trials, ending)
        updateTuningJob(job.state, job.name, ({ progress }) => {
          progress.ending = ending
        })
        for (const trial of running) stopTrial(job.state, trial)
      } else if (isFull(tuning, running)) {
        if (isStoppingEarly(tuning)) await stopEarly(job, tuning, trials)
      } else {
        begin(job, tuning, trials)
        continue
      }
      await Promise.race([job.changed(), wait(LOOK_MS, undefined, { ref: false })])
    }
  },
  fail(job, error) {
    updateTuningJob(job.state, job.name, ({ document }) => {
      document.HyperParameterTuningJobStatus = 'Failed'
      document.FailureReason = `InternalServerError: ${error instanceof Error ? error.message : String(error)}`
      document.HyperParameterTuningEndTime = seconds(Date.now())
    })
  },
}

/** Whether nothing can be begun now: as many run as may, or there is nothing more to begin. */
function isFull({ document, progress }: TuningJob, running: KnownTrial[]): boolean {
  const { MaxParallelTrainingJobs } = document.HyperParameterTuningJobConfig.ResourceLimits
  return running.length >= MaxParallelTrainingJobs || hasAll({ document, progress })
}

function hasAll({ document, progress }: Pick<TuningJob, 'document' | 'progress'>): boolean {
  const { MaxNumberOfTrainingJobs } = document.HyperParameterTuningJobConfig.ResourceLimits
  return progress.isExhausted || progress.trials.length >= (MaxNumberOfTrainingJobs ?? Infinity)
}

/** Records the next trial and makes its training job; or that there is none. */
function begin(job: JobContext, tuning: TuningJob, trials: KnownTrial[]): void {
  const trial = nextTrial(job.state, tuning, trials)
  updateTuningJob(job.state, job.name, ({ progress }) => {
    if (trial) progress.trials.push(trial)
    else progress.isExhausted = true
  })
  if (trial) makeJob(job, tuning, trial)
}

/** The training job of a trial that was recorded just before a runner died. */
function makeMissing(job: JobContext, tuning: TuningJob): void {
  const last = tuning.progress.trials.at(-1)
  if (last && listTrials(job.state, tuning).at(-1)?.job === undefined) makeJob(job, tuning, last)
}

function makeJob(job: JobContext, tuning: TuningJob, trial: TrialRecord): void {
  const region = tuning.arn.split(':')[3] ?? job.settings.region
  const parent = tuning.progress.parentRun
  try {
    createTrainingJob({ ...job, region }, trainingJobOf(tuning, trial), {
      tuningJobArn: tuning.arn,
      ...(parent ? { mlflow: { parentRunId: parent.runId } } : {}),
    })
  } catch (error) {
    if (!(error instanceof AwsError && error.code === 'ResourceInUse')) throw error
  }
}

type Ending = NonNullable<TuningJob['progress']['ending']>

/** How a job ends, once it is decided; its training jobs that still run are then stopped. */
function endingOf(tuning: TuningJob, trials: KnownTrial[]): Ending | undefined {
  const { document } = tuning
  const { ResourceLimits, TuningJobCompletionCriteria } = document.HyperParameterTuningJobConfig
  if (document.HyperParameterTuningJobStatus === 'Stopping') return { status: 'Stopped' }
  const ended = trials.filter((trial) => !isTrialRunning(trial))
  const best = bestTrial(tuning, trials)
  const isOver = hasAll(tuning) && ended.length === trials.length
  const failed = ended.filter(({ objective }) => objective === undefined).length
  if (!best && (failed >= FAILED_MAX || isOver)) {
    return {
      status: 'Failed',
      reason: `No training job succeeded after ${failed} attempts. Please take a look at the training job failures to get more details.`,
    }
  }
  const runtimeMs = (ResourceLimits.MaxRuntimeInSeconds ?? Infinity) * 1000
  if (isOver || Date.now() - tuning.createdMs > runtimeMs) return { status: 'Completed' }
  const criteria = TuningJobCompletionCriteria
  if (best?.objective === undefined) return undefined
  const goal = objectiveOf(document, definitionsOf(document)[best.record.definition])?.Type
  const target = criteria?.TargetObjectiveMetricValue
  if (
    target !== undefined &&
    (goal === 'Minimize' ? best.objective <= target : best.objective >= target)
  ) {
    return { status: 'Completed' }
  }
  const patience = criteria?.BestObjectiveNotImproving?.MaxNumberOfTrainingJobsNotImproving
  if (patience !== undefined && ended.length - ended.indexOf(best) - 1 >= patience) {
    return { status: 'Completed' }
  }
  return undefined
}

async function conclude(
  job: JobContext,
  trials: KnownTrial[],
  { status, reason }: Ending,
): Promise<void> {
  await endParentRun(job, trials, status)
  job.signal.throwIfAborted()
  updateTuningJob(job.state, job.name, (current) => {
    const { document } = current
    countTrials(current, trials)
    document.HyperParameterTuningJobStatus = status
    document.HyperParameterTuningEndTime = seconds(Date.now())
    if (reason !== undefined) document.FailureReason = reason
    const spent = trials.map((trial) => trial.job?.document.TrainingTimeInSeconds ?? 0)
    document.ConsumedResources = { RuntimeInSeconds: spent.reduce((sum, one) => sum + one, 0) }
  })
}
