import { ApiError } from '@millrace/api/errors'
import { S3Error } from '../../s3/s3-error.ts'
import { findResource } from '../../state/resource-store.ts'
import type { JobContext, JobKind } from '../job-kind.ts'
import { concludeJob } from './conclude-job.ts'
import { prepareJob } from './prepare-job.ts'
import { trainJob } from './train-job.ts'
import {
  finish,
  moveTo,
  type Outcome,
  type TrainingJob,
  type TrainingJobDocument,
  type TrainingProgress,
  updateTrainingJob,
} from './training-job.ts'

const STOPPED: Outcome = { status: 'Stopped', secondary: 'Stopped' }

/** Training jobs, from Starting to their end. */
export const trainingJobKind: JobKind = {
  kind: 'training-job',
  async run(job) {
    const stop = watchForStop(job)
    try {
      for (;;) {
        const training = getTrainingJob(job)
        switch (training.progress.phase) {
          case 'preparing':
            await prepare(job, training, stop.signal)
            break
          case 'training':
            await trainJob(job, training, stop.signal)
            break
          case 'uploading':
            await concludeJob(job, training)
            return
        }
      }
    } finally {
      stop.end()
    }
  },
  fail(job, error) {
    const reason = error instanceof Error ? error.message : String(error)
    updateTrainingJob(job.state, job.name, (training) =>
      finish(training, {
        status: 'Failed',
        secondary: 'Failed',
        failureReason: `InternalServerError: ${reason}`.slice(0, 1024),
      }),
    )
  },
  wait(state, name) {
    updateTrainingJob(state, name, (training) => {
      if (training.document.TrainingJobStatus !== 'InProgress') return false
      moveTo(training, 'Pending', 'Waiting until one of the jobs that run has ended')
    })
  },
  cancel(state, name) {
    const found = findResource<TrainingJobDocument, TrainingProgress>(state, 'training-job', name)
    if (!found) return true
    if (found.document.TrainingJobStatus !== 'Stopping') return false
    updateTrainingJob(state, name, (training) => finish(training, STOPPED))
    return true
  },
}

export function getTrainingJob(job: JobContext): TrainingJob {
  const found = findResource<TrainingJobDocument, TrainingProgress>(
    job.state,
    'training-job',
    job.name,
  )
  if (!found) throw new Error(`The training job ${job.name} has been deleted.`)
  return found
}

async function prepare(job: JobContext, training: TrainingJob, stop: AbortSignal): Promise<void> {
  updateTrainingJob(job.state, job.name, (current) => {
    if (current.document.SecondaryStatus !== 'Pending') return false
    moveTo(current, 'Starting', 'Preparing the instances for training')
  })
  const outcome = await prepared(job, training, AbortSignal.any([stop, job.signal]))
  job.signal.throwIfAborted()
  updateTrainingJob(job.state, job.name, ({ progress, document, ...rest }) => {
    if (stop.aborted) Object.assign(progress, { phase: 'uploading', outcome: STOPPED })
    else if (outcome) Object.assign(progress, { phase: 'uploading', outcome })
    else {
      progress.phase = 'training'
      moveTo(
        { ...rest, progress, document },
        'Training',
        'Training image download completed. Training in progress.',
      )
    }
  })
}

/** Undefined when the job can be started; how it ends when the client has to change something. */
async function prepared(
  job: JobContext,
  training: TrainingJob,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  if (training.progress.faults['capacity-error'] !== undefined) {
    return failed('CapacityError: Unable to provision requested ML compute capacity.')
  }
  try {
    const region = training.arn.split(':')[3] ?? job.settings.region
    await prepareJob(job, training, region, signal)
    return undefined
  } catch (error) {
    if (signal.aborted) return undefined
    if (error instanceof S3Error) {
      return failed(`ClientError: Data download failed: ${error.code}: ${error.message}`)
    }
    if (!(error instanceof ApiError)) throw error
    const isInstall = error.code === 'INVALID_STATE'
    return failed(
      isInstall
        ? `AlgorithmError: InstallRequirementsError: ${error.message}`
        : `ClientError: Data download failed: ${error.message}`,
    )
  }
}

function failed(reason: string): Outcome {
  return { status: 'Failed', secondary: 'Failed', failureReason: reason.slice(0, 1024) }
}

/** A signal that is aborted when a client stops the job. */
function watchForStop(job: JobContext): { signal: AbortSignal; end: () => void } {
  const stop = new AbortController()
  let isOver = false
  const watch = async () => {
    while (!isOver && !job.signal.aborted) {
      const status = findResource(job.state, 'training-job', job.name)?.status
      if (status === undefined || status === 'Stopping') return stop.abort()
      await job.changed()
    }
  }
  void watch()
  return {
    signal: stop.signal,
    end: () => {
      isOver = true
    },
  }
}
