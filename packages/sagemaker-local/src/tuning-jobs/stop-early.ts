import { join } from 'node:path'
import type { JobContext } from '../runner/job-kind.ts'
import { readMetricPoints } from '../runner/training/job-metrics.ts'
import { moveTo, updateTrainingJob } from '../runner/training/training-job.ts'
import type { State } from '../state/open-state.ts'
import {
  type IntermediateMetric,
  shouldStopByHyperband,
  shouldStopByMedian,
} from '../tuning/early-stopping.ts'
import { isTrialRunning, type KnownTrial } from './trial-summaries.ts'
import { definitionsOf, hyperbandOf, objectiveOf, type TuningJob } from './tuning-job.ts'

/** Whether trials are stopped by what they print on their way. */
export function isStoppingEarly({ document }: TuningJob): boolean {
  const { Strategy, TrainingJobEarlyStoppingType } = document.HyperParameterTuningJobConfig
  return Strategy === 'Hyperband' || TrainingJobEarlyStoppingType === 'Auto'
}

/** Stops the running trials that have no prospect, compared with the others at the same epoch. */
export async function stopEarly(
  job: JobContext,
  tuning: TuningJob,
  trials: KnownTrial[],
): Promise<void> {
  const { document } = tuning
  const { Strategy } = document.HyperParameterTuningJobConfig
  const printed = new Map<KnownTrial, IntermediateMetric[]>()
  for (const trial of trials) printed.set(trial, await readEpochs(job, tuning, trial))
  for (const trial of trials.filter(isTrialRunning)) {
    const definition = definitionsOf(document)[trial.record.definition]
    const goal = objectiveOf(document, definition)?.Type
    const others = trials
      .filter((other) => other !== trial && other.record.definition === trial.record.definition)
      .map((other) => printed.get(other) ?? [])
    const question = { goal: goal ?? 'Maximize', metrics: printed.get(trial) ?? [], others }
    const isHopeless =
      Strategy === 'Hyperband'
        ? definition !== undefined &&
          shouldStopByHyperband(question, hyperbandOf(document, definition))
        : shouldStopByMedian(question)
    if (isHopeless) stopTrial(job.state, trial)
  }
}

/** Tells the training job of a trial to end. */
export function stopTrial(state: State, trial: KnownTrial): void {
  if (trial.job?.document.TrainingJobStatus !== 'InProgress') return
  updateTrainingJob(state, trial.record.name, (training) => {
    if (training.document.TrainingJobStatus !== 'InProgress') return false
    training.document.TrainingJobStatus = 'Stopping'
    moveTo(training, 'Stopping', 'Stopping the training job')
  })
}

/** The objective of a trial at each of its epochs: each time that it prints it is one. */
async function readEpochs(
  { settings }: JobContext,
  { document }: TuningJob,
  { record }: KnownTrial,
): Promise<IntermediateMetric[]> {
  const metric = objectiveOf(document, definitionsOf(document)[record.definition])?.MetricName
  const points = await readMetricPoints(
    join(settings.directory, 'jobs', 'training-job', record.name),
  )
  return points
    .filter(({ name }) => name === metric)
    .map(({ value }, index) => ({ resource: index + 1, value }))
}
